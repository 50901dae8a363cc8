"""Misspelt options, keys and classes are refused before PyTorch is imported."""

import os
from pathlib import Path

import pytest

from lightning_mia.audit import option_check
from lightning_mia.audit.option_check import check, parse
from lightning_mia.audit.option_index import OptionIndex
from lightning_mia.utilities.environment import no_gpu
from lightning_mia.utilities.errors import InputError

INDEX = OptionIndex(
    options={
        **dict.fromkeys(("fleet", "data")),
        "run_dir": {"any_of": ["str", "None"]},
        "model": "object",
        "attacks": {"any_of": [{"list_of": "object"}, "None"]},
        "fleet.size": {"in_range": "int", "limits": [0, 10_000, False, False]},
        "data.corpus": "object",
        "data.split_seed": "int",
        "data.level": {"one_of": ["utterance", "speaker"]},
        "trainer.max_epochs": {"any_of": ["int", "None"]},
        "trainer.logger": {"any_of": ["object", "bool"]},
        "trainer.accelerator": {"any_of": ["str", "object"]},
    },
    classes={
        "model": {"TERA": {"dim": ("int", ""), "mask_length": ("int", "")}, "CPC": {"n_steps": ("int", "")}},
        "data.corpus": {"Manifest": {"path": ("str", "")}, "TwoSources": {"members": ("object", "")}},
        "attacks": {"RMIA": {"signal": ("object", ""), "gamma": ("float", "")}, "LiRA": {}},
    },
)


def refusal(*arguments: str) -> str:
    with pytest.raises(InputError) as error:
        check(parse(["audit", *arguments]), INDEX)
    return str(error.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data.split", "5"], "there is no option --data.split (did you mean --data.split_seed?)"),
        (["--run", "R"], "there is no option --run (did you mean --run_dir?)"),
        (["--max_epochs=3"], "there is no option --max_epochs (did you mean --trainer.max_epochs?)"),
        (["--fleet.workres", "2"], "there is no option --fleet.workres"),
        (["--model", "TERA", "--model.dmi", "4"], "--model: TERA has no argument dmi (did you mean dim?)"),
        (["--model.n_step", "4"], "--model: no class has an argument n_step (did you mean n_steps?)"),
        (
            ["--model", "TERA", "--model.n_steps", "4"],
            "--model: TERA has no argument n_steps; it takes dim",
        ),
        (["--model", "TERRA"], "model: there is no class TERRA (did you mean TERA?)"),
        (["--attacks", "[RMIA, LRA]"], "attacks: there is no class LRA (did you mean LiRA?)"),
        (["--attacks", "[{class_path: RIMA}]"], "attacks: there is no class RIMA (did you mean RMIA?)"),
        (["--data.level", "speakers"], "--data.level speakers: give utterance or speaker (did you mean speaker?)"),
        (["-c", "audit/dmo.yaml"], "there is no config audit/dmo.yaml (did you mean audit/demo.yaml?)"),
        (["-c"], "-c: give a value after it"),
        (["--fleet.size", "-c", "audit/demo"], "--fleet.size: give a value after it"),
        (["run_dir", "R"], "run_dir: unexpected word; options begin with --"),
        (["--fleet.size", "2", "R"], "R: unexpected word"),
        (["M.csv"], "M.csv: a manifest is given as --data.corpus.path M.csv"),
        (["--data.corpus", "M.csv"], "--data.corpus M.csv: a manifest is given as --data.corpus.path M.csv"),
        (["--data", "M.tsv"], "--data M.tsv: a manifest is given as --data.corpus.path M.tsv"),
        (["--model", "/"], "--model /: a checkpoint is given as --model.checkpoint /"),
        (["--data.corpus", "/"], "--data.corpus /: a folder of recordings is given as --data.corpus Folder"),
        (["--fleet.size", "two"], "--fleet.size two: give a whole number"),
        (["--fleet.size=-1"], "fleet.size is -1: give 0 to 10,000"),
        (["--model", "TERA", "--model.dim", "wide"], "--model.dim wide: give a whole number"),
        (["--model", "TERA", "--model.init_args.dim", "wide"], "--model.init_args.dim wide: give a whole number"),
        (["--attacks", "RMIA"], '--attacks RMIA: give a list, such as "[RMIA]"'),
        (
            ["--attacks", "[{class_path: RMIA, init_args: {gamma: x}}]"],
            "--attacks.RMIA.gamma x: give a number",
        ),
        (["--data.corpus", "Manifest", "--data.corpus.path", "N.csv"], "N.csv: cannot read the manifest (No such file"),
    ],
)
def test_a_typo_is_refused_with_a_suggestion(arguments: list[str], message: str) -> None:
    assert refusal(*arguments).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data: {split_sed: 4}", "there is no option data.split_sed (did you mean data.split_seed?)"),
        ("attaks: [RMIA]", "there is no option attaks (did you mean attacks?)"),
        ("attacks: [RMIAA]", "attacks: there is no class RMIAA (did you mean RMIA?)"),
        ("model: {class_path: TERA, init_args: {dimm: 4}}", "model: TERA has no argument dimm (did you mean dim?)"),
        (
            "data: {corpus: {class_path: Manifest, init_args: {pth: m.csv}}}",
            "data.corpus: Manifest has no argument pth",
        ),
        ("fleet: {size: two}", "c.yaml: --fleet.size two: give a whole number"),
        ("fleet: {size: -1}", "c.yaml: fleet.size is -1: give 0 to 10,000"),
        ("model: {class_path: TERA, init_args: {dim: 3.5}}", "c.yaml: --model.dim 3.5: give a whole number"),
        ("attacks: [{class_path: RMIA, init_args: {gamma: x}}]", "c.yaml: --attacks.RMIA.gamma x: give a number"),
    ],
)
def test_a_typo_in_a_config_names_the_file(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text, encoding="utf-8")
    assert message in refusal("-c", str(path))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--run_dir", "R", "--fleet.size=4", "--data.split_seed", "1", "--data.level", "speaker"],
        ["--model", "TERA", "--model.dim", "4", "--model.help", "TERA"],
        ["--data.corpus", "TwoSources", "--data.corpus.members.root", "x"],
        ["--trainer.logger.save_dir", "x", "--attacks+", "RMIA"],
        ["--model", "mine.Model", "--model.anything", "4", "--attacks", "[Mine]"],
        ["--attacks", "[mine.Attack]", "--model.anything", "4"],
        ["--attacks", "null", "--print_config", "--help"],
        ["--model.init_args.dim", "4"],
        ["--model", "TERA", "--model.dim", "4", "--model.mask_length", "1_0"],
        ["--trainer.max_epochs", "null", "--trainer.logger", "false", "--fleet.size=0", "--data.split_seed", "-1"],
        ["--attacks+", "RMIA", "--attacks+", "{class_path: LiRA}"],
        ["--data.corpus", "Manifest", "--data.corpus.path", __file__],
        ["--data.corpus", "Manifest", "--data.corpus.path", "N.csv", "--print_config"],
        ["--trainer.accelerator", "gpu", "--print_config"],
    ],
)
def test_what_may_be_meant_is_left_to_the_parser(arguments: list[str]) -> None:
    check(parse(["audit", *arguments]), INDEX)


@pytest.mark.parametrize(
    "text",
    [
        "data: {corpus: {class_path: Manifest, init_args: {path: m.csv}}, split_seed: 4}\nfleet: {size: 2}",
        "model: {class_path: mine.Model, init_args: {anything: 4}}\nattacks: [AlsoMine]",
        "attacks:\n  - RMIA\n  - {class_path: lightning_mia.LiRA}\n  - {class_path: RMIA, init_args: {signal: {a: 1}}}",
        "trainer: {max_epochs: 3, logger: {class_path: lightning.pytorch.loggers.CSVLogger, init_args: {save_dir: x}}}",
        "data.split_seed: 4",
        "attacks: [{class_path: RMIA, init_args: {gamma: 1e-3}}]\nattacks+: LiRA\nfleet: {size: 1_000}",
    ],
)
def test_valid_configs_pass(text: str, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text, encoding="utf-8")
    check(parse(["audit", f"--config={path}"]), INDEX)


@pytest.mark.parametrize(
    ("arguments", "accelerator"),
    [
        (["--trainer.accelerator", "gpu"], "gpu"),
        (["--trainer.accelerator", "cpu", "--trainer.accelerator=cuda"], "cuda"),
        (["--trainer.accelerator", "gpu", "--trainer.accelerator", "cpu"], None),
        (["--trainer.accelerator", "gpu", "-c", "CPU"], "gpu"),
        (["-c", "CPU", "--trainer.accelerator", "gpu"], "gpu"),
    ],
)
def test_a_gpu_is_refused_only_without_a_driver(
    arguments: list[str], accelerator: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpu.yaml").write_text("trainer: {accelerator: cpu}")
    arguments = [str(tmp_path / "cpu.yaml") if word == "CPU" else word for word in arguments]
    monkeypatch.setattr(option_check, "lacks_gpu_driver", lambda: False)
    check(parse(["audit", *arguments]), INDEX)
    monkeypatch.setattr(option_check, "lacks_gpu_driver", lambda: True)
    if accelerator is None:
        check(parse(["audit", *arguments]), INDEX)
    else:
        assert refusal(*arguments) == no_gpu(accelerator)


def test_the_path_of_the_manifest_overrides_that_of_a_config(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("data: {corpus: {class_path: Manifest, init_args: {path: M.csv}}}")
    config, missing = ["-c", str(tmp_path / "c.yaml")], ["--data.corpus.path", "N.csv"]
    for arguments in ([*missing, *config], [*config, *missing]):
        assert refusal(*arguments).startswith("N.csv: cannot read the manifest")


def test_what_the_shell_passes_on_as_a_file_is_a_manifest(tmp_path: Path) -> None:
    """`<(zcat M.csv.gz)` is a pipe, which can be read once."""
    os.mkfifo(tmp_path / "pipe")
    check(parse(["audit", "--data.corpus", "Manifest", "--data.corpus.path", str(tmp_path / "pipe")]), INDEX)


def test_a_folder_named_like_a_class_does_not_hide_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "TwoSources").mkdir()
    monkeypatch.chdir(tmp_path)
    check(parse(["audit", "--data.corpus", "TwoSources"]), INDEX)
    check(parse(["audit", "--data.corpus", f"{{class_path: TwoSources, init_args: {{members: {'a' * 5000}}}}}"]), INDEX)
