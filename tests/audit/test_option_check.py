"""Misspelt options, keys and classes are refused before PyTorch is imported."""

from pathlib import Path

import pytest

from lightning_mia.audit.option_check import check, parse
from lightning_mia.audit.option_index import OptionIndex
from lightning_mia.utilities.errors import InputError

INDEX = OptionIndex(
    options={name: [] for name in ("run_dir", "model", "attacks", "fleet", "fleet.size", "data", "data.corpus")}
    | {"data.split_seed": [], "data.level": ["utterance", "speaker"], "trainer.max_epochs": [], "trainer.logger": []},
    open_options=["model", "attacks", "data.corpus", "trainer.logger"],
    classes={
        "model": {"TERA": {"dim": "", "mask_length": ""}, "CPC": {"n_steps": ""}},
        "data.corpus": {"Manifest": {"path": ""}, "TwoSources": {"members": "", "members.": ""}},
        "attacks": {"RMIA": {"signal": "", "signal.": ""}, "LiRA": {}},
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
    ],
)
def test_valid_configs_pass(text: str, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text, encoding="utf-8")
    check(parse(["audit", f"--config={path}"]), INDEX)
