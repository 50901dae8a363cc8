"""The fleet on a tiny corpus, as a user runs it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import lightning as L
import numpy as np
import pandas as pd
import psutil
import pytest
import soundfile
import torch
import yaml

from lightning_mia.cli import main
from lightning_mia.probe.signals import Signals
from lightning_mia.training import train

ATTACKS = [
    {"class_path": "lightning_mia.attacks.pretext_loss.PretextLoss"},
    {"class_path": "lightning_mia.attacks.lira.LiRA"},
]
QUICK = ["--attacks", json.dumps(ATTACKS), "--controls.untrained", "false", "--fleet.take_turns", "false"]
QUICK += ["--evaluation.n_redraws", "1000", "--evaluation.n_bootstraps", "1000"]


def run(command: str, config: Path, folder: Path, *options: str) -> int:
    options = (*QUICK, *options) if command in ("audit", "attack") else options
    return main([command, "-c", str(config), "--run_dir", str(folder), *options])


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line that a command is refused with."""
    capsys.readouterr()
    assert run(*arguments) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("lightning-mia: error: ")
    assert not [line for line in lines if "Traceback" in line]
    return lines[-1]


def shadow_files(folder: Path) -> dict[str, bytes]:
    """Every checkpoint of a fleet."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.glob("shadows/*/model.ckpt")}


def assert_same_weights(one: Path, other: Path) -> None:
    """Equal to the bit; the files may differ in Lightning's count of epochs that were ended."""
    mine, theirs = shadow_files(one), shadow_files(other)
    assert mine.keys() == theirs.keys() != set()
    for name in mine:
        checkpoints = [torch.load(folder / name, weights_only=True) for folder in (one, other)]
        assert checkpoints[0]["lightning_mia"] == checkpoints[1]["lightning_mia"]
        weights, others = (checkpoint["state_dict"] for checkpoint in checkpoints)
        assert weights.keys() == others.keys()
        assert all(torch.equal(weights[key], others[key]) for key in weights)


def signal_files(folder: Path) -> dict[str, Signals]:
    return {path.name: Signals.load(path) for path in folder.glob("probes/[!.]*.npz") if "-answers-" in path.name}


def assert_same_signals(one: Path, other: Path) -> None:
    mine, theirs = signal_files(one), signal_files(other)
    assert mine.keys() == theirs.keys() != set()
    for name, signals in mine.items():
        pd.testing.assert_frame_equal(signals.scalars, theirs[name].scalars, check_exact=True)
        assert np.array_equal(signals.pooled, theirs[name].pooled)


def times_of(folder: Path) -> dict[Path, int]:
    """When every file of a run that is to stay was written."""
    kept = [*folder.glob("*/model.ckpt"), *folder.glob("shadows/*/*.*"), *folder.glob("probes/*.npz")]
    return {path: path.stat().st_mtime_ns for path in [*kept, folder / "split.csv"]}


@pytest.fixture(scope="module")
def fleet(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four shadow models, and nothing else."""
    folder = tmp_path_factory.mktemp("fleets") / "four"
    assert run("shadow", config, folder, "--fleet.size", "4") == 0
    return folder


@pytest.fixture(scope="module")
def audited(fleet: Path, config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, and an audit with them."""
    folder = tmp_path_factory.mktemp("fleets") / "audited"
    shutil.copytree(fleet, folder)
    assert run("audit", config, folder, "--fleet.size", "4") == 0
    return folder


@pytest.fixture
def copied(audited: Path, tmp_path: Path) -> Path:
    """A copy of the audited run, to be spoiled."""
    return Path(shutil.copytree(audited, tmp_path / "run"))


def test_an_audit_takes_the_shadow_models_that_are_there(audited: Path, fleet: Path) -> None:
    assert shadow_files(audited) == shadow_files(fleet)
    assert len(shadow_files(fleet)) == 4
    found = json.loads((audited / "report" / "results.json").read_text())
    by_name = {attack["name"]: attack for attack in found["attacks"]}
    assert next(attack["n_shadows"] for name, attack in by_name.items() if name.startswith("lira")) == 4
    assert found["timings"]["shadow_s"] > 0
    probed = {name.split("-answers-")[0] for name in signal_files(audited)}
    assert probed == {"target", "wrong_model", *(f"shadows-00{number}" for number in range(4))}


def test_shadow_models_are_trained_on_exactly_their_columns(fleet: Path) -> None:
    split = pd.read_csv(fleet / "split.csv", dtype={"id": str}).set_index("id")
    challenge = split[split["role"] != "auxiliary"]
    for number in range(4):
        exposure = pd.read_csv(fleet / f"shadows/00{number}/trained_utterances.csv", dtype={"id": str})
        assert set(exposure["id"]) == set(split.index[split[f"shadow_00{number}"] == 1])
        assert (exposure["times"] == 3).all()
        assert len(exposure) == 24 == challenge["target"].sum()
    for first, second in (("shadow_000", "shadow_001"), ("shadow_002", "shadow_003")):
        assert (challenge[first] + challenge[second] == 1).all()


def test_a_second_start_repeats_nothing(copied: Path, config: Path) -> None:
    before = times_of(copied)
    assert run("audit", config, copied, "--fleet.size", "4") == 0
    assert run("audit", config, copied, "--fleet.size", "4", "--fleet.workers", "3") == 0  # starts no process
    assert run("shadow", config, copied, "--fleet.size", "4") == 0
    assert times_of(copied) == before


def test_a_fleet_is_extended_and_used_in_part(fleet: Path, config: Path, tmp_path: Path) -> None:
    assert run("shadow", config, tmp_path, "--fleet.size", "2") == 0
    small = times_of(tmp_path)
    assert "shadow_002" not in pd.read_csv(tmp_path / "split.csv").columns
    assert run("audit", config, tmp_path, "--fleet.size", "4") == 0
    large = times_of(tmp_path)
    assert {path for path, time_ in small.items() if large[path] != time_} == {tmp_path / "split.csv"}
    assert (tmp_path / "split.csv").read_bytes() == (fleet / "split.csv").read_bytes()
    assert shadow_files(tmp_path) == shadow_files(fleet)
    assert run("audit", config, tmp_path, "--fleet.size", "2") == 0
    assert run("audit", config, tmp_path) == 0
    assert times_of(tmp_path) == large


class StopsAt(train.LastCheckpoint):
    """Ends a training of one shadow model as a kill would, once its checkpoint of an epoch is written."""

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        super().on_train_epoch_end(trainer, pl_module)
        if self.path.parent.name == "002" and trainer.current_epoch == int(os.environ["STOPS_AT"]):
            raise RuntimeError("killed")


@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_a_fleet_goes_on_in_the_middle_of_a_model(
    fleet: Path, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epoch: int
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(train, "LastCheckpoint", StopsAt)
        patched.setenv("STOPS_AT", str(epoch))
        with pytest.raises(RuntimeError, match="killed"):
            run("shadow", config, tmp_path, "--fleet.size", "4")
    assert (tmp_path / "shadows" / "002" / "last.ckpt").exists()
    assert not (tmp_path / "shadows" / "003").exists()
    before = times_of(tmp_path)
    assert run("shadow", config, tmp_path, "--fleet.size", "4") == 0
    assert_same_weights(tmp_path, fleet)
    after = times_of(tmp_path)
    assert {path for path in before if "000" in str(path) and before[path] != after[path]} == set()
    exposure = pd.read_csv(tmp_path / "shadows" / "002" / "trained_utterances.csv")
    assert (exposure["times"] == 3).all()
    records = [json.loads((folder / "shadows/002/stage.json").read_text())["record"] for folder in (tmp_path, fleet)]
    assert records[0]["steps"] == records[1]["steps"]
    assert records[0]["epochs"] == records[1]["epochs"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--trainer.max_epochs", "4"], "trainer.max_epochs: 3 there, 4 asked for"),
        (["--seed_everything", "1"], "seed: 1 there, 2 asked for"),
        (["--model.dim", "32"], "hyperparameters.dim: 16 there, 32 asked for"),
        (["--data.split_seed", "1"], "is another split"),
        (["--data.design.n_units", "40"], "is another split"),
        (["--fleet.pool", "auxiliary", "--data.design.n_units", "48"], "auxiliary units"),
    ],
)
@pytest.mark.parametrize("command", ["shadow", "audit"])
def test_a_fleet_of_other_settings_is_refused(
    fleet: Path, config: Path, command: str, options: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(capsys, command, config, fleet, "--fleet.size", "4", *options)
    assert told in line
    assert "shadows/000 was made by other settings (hash" in line or "hash" not in told
    assert not (fleet / "target").exists()  # refused before a target was trained


def other_manifest(tiny_manifest: Path, folder: Path) -> Path:
    """The same manifest, with one recording of another content."""
    table = pd.read_csv(tiny_manifest, dtype=str)
    table["path"] = [str(tiny_manifest.parent / path) for path in table["path"]]
    row = table.index[table["id"] == "s00/c00"][0]
    waveform, rate = soundfile.read(table["path"][row])
    soundfile.write(folder / "other.flac", 0.5 * waveform, rate)
    table.loc[row, "path"] = str(folder / "other.flac")
    table.to_csv(folder / "other.csv", index=False)
    return folder / "other.csv"


def test_a_fleet_of_other_data_is_refused(
    fleet: Path, config: Path, tiny_manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    split = pd.read_csv(fleet / "split.csv", dtype={"id": str}).set_index("id")
    assert split.loc["s00/c00", "role"] != "auxiliary"
    other = ["--data.corpus.path", str(other_manifest(tiny_manifest, tmp_path))]
    line = refused(capsys, "shadow", config, fleet, "--fleet.size", "4", *other)
    assert "was made by other settings (hash" in line
    assert "recordings: " in line


def test_a_target_that_was_trained_otherwise_is_refused(
    audited: Path, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("fit", config, tmp_path / "other", "--trainer.max_epochs", "4") == 0
    other = tmp_path / "other" / "target" / "model.ckpt"
    options = ["--fleet.size", "2", "--target_checkpoint"]
    line = refused(capsys, "attack", config, tmp_path / "run", *options, str(other))
    assert f"{other} was trained with other settings, but shadow models must be trained exactly like the target" in line
    assert not (tmp_path / "run" / "wrong_model").exists()  # before anything was trained
    same = audited / "target" / "model.ckpt"
    assert run("attack", config, tmp_path / "run", *options, str(same)) == 0


def test_a_missing_model_is_trained_again(copied: Path, audited: Path, config: Path) -> None:
    (copied / "shadows" / "001" / "model.ckpt").unlink()
    (copied / "shadows" / "002" / "stage.json").unlink()
    assert run("audit", config, copied, "--fleet.size", "4") == 0
    assert shadow_files(copied) == shadow_files(audited)


def truncate(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def swap(path: Path) -> None:
    other = Path(str(path).replace("001", "003"))
    content = path.read_bytes()
    path.write_bytes(other.read_bytes())
    other.write_bytes(content)


def drop_a_row(path: Path) -> None:
    pd.read_csv(path, dtype=str).iloc[1:].to_csv(path, index=False)


def turn_a_membership(path: Path) -> None:
    table = pd.read_csv(path, dtype=str)
    table.loc[table.index[table["shadow_001"] == "1"][0], "shadow_001"] = "0"
    table.to_csv(path, index=False)


@pytest.mark.parametrize(
    ("file", "spoil", "told"),
    [
        ("shadows/001/model.ckpt", truncate, "model.ckpt is damaged; delete"),
        ("shadows/001/model.ckpt", swap, "is not the model that this stage trained; delete"),
        ("shadows/001/stage.json", truncate, "stage.json is damaged; delete the folder"),
        ("shadows/001/stage.json", swap, "was made by other settings (hash"),
        ("shadows/001/trained_utterances.csv", Path.unlink, "trained_utterances.csv is missing or damaged; delete"),
        ("shadows/001/trained_utterances.csv", truncate, "trained_utterances.csv is missing or damaged; delete"),
        ("shadows/001/trained_utterances.csv", swap, "does not hold the utterances that split.csv has"),
        ("shadows/001/trained_utterances.csv", drop_a_row, "does not hold the utterances that split.csv has"),
        ("probes/shadows-001-answers-*.npz", truncate, ".npz is damaged; delete it and start again"),
        ("split.csv", turn_a_membership, "has other members for shadow_001 than are asked for"),
    ],
)
def test_what_is_damaged_or_swapped_is_told_in_one_line(
    copied: Path,
    config: Path,
    file: str,
    spoil: Callable[[Path], None],
    told: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (path,) = copied.glob(file)
    spoil(path)
    line = refused(capsys, "audit", config, copied, "--fleet.size", "4")
    assert told in line
    assert "001" in line


def test_a_damaged_checkpoint_to_go_on_from_is_told_in_one_line(
    copied: Path, fleet: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copied / "shadows" / "001"
    (folder / "model.ckpt").unlink()
    (folder / "last.ckpt").write_bytes(b"")  # as a power failure leaves it
    line = refused(capsys, "shadow", config, copied, "--fleet.size", "4")
    assert f"{folder / 'last.ckpt'} is damaged; delete it to train this model from its start" in line
    (folder / "last.ckpt").unlink()
    assert run("shadow", config, copied, "--fleet.size", "4") == 0
    assert shadow_files(copied) == shadow_files(fleet)


def test_a_shadow_model_whose_signals_are_not_numbers_is_named(
    copied: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its training diverged: the weights are NaN."""
    path = copied / "shadows" / "001" / "model.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    name = next(name for name, weights in checkpoint["state_dict"].items() if weights.is_floating_point())
    checkpoint["state_dict"][name].fill_(float("nan"))
    torch.save(checkpoint, path)
    line = refused(capsys, "audit", config, copied, "--fleet.size", "4")
    assert "Model shadows-001-answers-" in line
    assert "not finite for 72 utterances: s00/c00; s00/c01;" in line


@pytest.mark.parametrize(
    ("command", "options", "told"),
    [
        ("shadow", ["--fleet.size", "3"], "fleet.size is 3: shadow models come in pairs, give an even number"),
        ("audit", ["--fleet.size", "5"], "fleet.size is 5"),
        ("shadow", ["--fleet.size", "0"], "fleet.size is 0: say how many shadow models to train"),
        ("shadow", ["--fleet.workers", "0"], "fleet.workers is 0"),
        ("audit", ["--fleet.size", "2", "--fleet.workers", "2", "--trainer.devices", "2"], "give --fleet.workers 1"),
        ("shadow", ["--fleet.workers", "2", "--trainer.strategy", "ddp"], "give --fleet.workers 1"),
        (
            "audit",
            ["--fleet.size", "2", "--fleet.pool", "auxiliary"],
            "but there are 24: raise data.design.n_auxiliary",
        ),
        ("audit", ["--fleet.size", "2", "--fleet.pool", "both"], "fleet.pool"),
    ],
)
def test_what_is_no_fleet_is_refused_before_anything_is_done(
    config: Path, tmp_path: Path, command: str, options: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told in refused(capsys, command, config, tmp_path / "run", *options)
    assert not (tmp_path / "run").exists()


def test_a_ready_made_split_has_no_fleet(
    tiny_manifest: Path, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pd.read_csv(tiny_manifest, dtype=str)
    table["path"] = [str(tiny_manifest.parent / path) for path in table["path"]]
    table.assign(member=(table.groupby("speaker").cumcount() % 2).astype(str)).to_csv(tmp_path / "m.csv", index=False)
    options = ["--fleet.size", "2", "--data.corpus.path", str(tmp_path / "m.csv")]
    assert "the corpus brings its own (column member)" in refused(capsys, "audit", config, tmp_path / "run", *options)


def test_a_fleet_that_never_saw_a_challenge_unit(config: Path, tmp_path: Path) -> None:
    sizes = ["--data.design.n_units", "24", "--data.design.n_auxiliary", "48"]
    assert run("audit", config, tmp_path, "--fleet.size", "4", "--fleet.pool", "auxiliary", *sizes) == 0
    split = pd.read_csv(tmp_path / "split.csv", dtype={"id": str}).set_index("id")
    columns = [f"shadow_{number:03d}" for number in range(4)]
    pool = split.index[split[columns].any(axis=1)]
    assert len(pool) == 24
    assert (split.loc[pool, "role"] == "auxiliary").all()
    trained_on = {
        model: set(pd.read_csv(tmp_path / model / "trained_utterances.csv", dtype={"id": str})["id"])
        for model in ("wrong_model", *(f"shadows/{number:03d}" for number in range(4)))
    }
    assert trained_on.pop("wrong_model") == set(split.index[split["role"] == "auxiliary"]) - set(pool)
    for model, ids in trained_on.items():
        assert ids == set(split.index[split[f"shadow_{model[-3:]}"] == 1])
        assert len(ids) == 12 == split["target"].sum()
    found = json.loads((tmp_path / "report" / "results.json").read_text())
    assert found["fleet"]["pool"] == "auxiliary"


def test_a_fleet_of_a_speaker_design(config: Path, speakers_manifest: Path, tmp_path: Path) -> None:
    sizes = {"n_units": 14, "n_auxiliary": 6, "trained_per_speaker": 3, "held_back_per_speaker": 3}
    design = {"class_path": "lightning_mia.split.SpeakerDesign", "init_args": sizes}
    options = ["--data.corpus.path", str(speakers_manifest), "--data.design", json.dumps(design)]
    attacks = ["--attacks", json.dumps([{"class_path": "lightning_mia.attacks.speaker_lira.SpeakerLiRA"}])]
    assert run("audit", config, tmp_path, *options, *attacks, "--fleet.size", "4") == 0
    split = pd.read_csv(tmp_path / "split.csv", dtype={"id": str}).set_index("id")
    for number in range(4):
        ids = set(pd.read_csv(tmp_path / f"shadows/00{number}/trained_utterances.csv", dtype={"id": str})["id"])
        speakers = split.loc[list(ids), "speaker"]
        assert (speakers.value_counts() == 3).all()
        assert set(speakers) == set(split["speaker"][split[f"shadow_00{number}"] == 1])
        assert (split.loc[list(ids), "part"] == "trained").all()
        assert len(ids) == 21 == split["trained"].sum()
    levels = {attack["level"] for attack in json.loads((tmp_path / "report/results.json").read_text())["attacks"]}
    assert levels == {"speaker"}


def command_line(command: str, config: Path, folder: Path, *options: str) -> list[str]:
    quick = QUICK if command == "audit" else []
    return [
        *(sys.executable, "-m", "lightning_mia", command, "-c", str(config), "--run_dir", str(folder)),
        *(*quick, *options),
    ]


def with_bars(config: Path, folder: Path) -> Path:
    """The same config, with progress bars."""
    settings = yaml.safe_load(config.read_text())
    settings["trainer"]["enable_progress_bar"] = True
    (folder / "bars.yaml").write_text(yaml.safe_dump(settings))
    return folder / "bars.yaml"


@pytest.mark.slow
def test_two_workers_give_what_one_gives_and_nothing_stray(audited: Path, config: Path, tmp_path: Path) -> None:
    options = ["--fleet.size", "4", "--fleet.workers", "2"]
    ran = subprocess.run(
        command_line("audit", with_bars(config, tmp_path), tmp_path, *options),
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    assert shadow_files(tmp_path) == shadow_files(audited)
    assert_same_signals(tmp_path, audited)
    lines = [line for line in ran.stderr.replace("\r", "\n").splitlines() if line.strip()]
    assert [line for line in lines if "%|" not in line and "[00:" not in line] == []  # bars of the first process
    assert not [line for line in lines if "shadows" in line]  # of a single model
    assert [line for line in lines if line.startswith("Shadow models: 100%") and "4.0/4 models" in line]


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The worker processes that a command has started."""
    try:
        children = psutil.Process(process.pid).children(recursive=True)
        return [child for child in children if "spawn_main" in " ".join(child.cmdline())]
    except psutil.NoSuchProcess:
        return []


def wait_until(condition: Callable[[], object], process: subprocess.Popen[str], seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)


def all_gone(processes: list[psutil.Process], seconds: float = 30) -> bool:
    return not psutil.wait_procs(processes, timeout=seconds)[1]


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["while they start", "while they train"])
def test_ctrl_c_ends_a_fleet_of_workers_in_one_line(config: Path, tmp_path: Path, moment: str) -> None:
    options = ["--fleet.size", "4", "--fleet.workers", "2", "--trainer.max_epochs", "400", "--data.num_workers", "1"]
    # A shell starts background jobs with SIGINT ignored, and children inherit that: undo it.
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(
        command_line("shadow", config, tmp_path, *options),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=heed,
    ) as process:
        wait_until(lambda: len(workers_of(process)) == 2, process)
        workers = workers_of(process)
        if moment == "while they train":
            wait_until(lambda: len(list(tmp_path.glob("shadows/*/last.ckpt"))) == 2, process)
            workers = workers_of(process)
            assert len(workers) == 4  # with those that read audio
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all processes at once
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    lines = [line for line in errors.splitlines() if line.strip() and not line.startswith("Decoding audio")]
    assert lines == ["lightning-mia: interrupted; start the same command again to go on"]
    assert all_gone(workers)


@pytest.mark.slow
def test_a_killed_worker_is_told_in_one_line_and_the_next_start_goes_on(config: Path, tmp_path: Path) -> None:
    options = ["--fleet.size", "4", "--fleet.workers", "2", "--trainer.max_epochs", "20"]
    with subprocess.Popen(
        command_line("shadow", config, tmp_path / "killed", *options), stderr=subprocess.PIPE, text=True
    ) as process:
        wait_until(lambda: list(tmp_path.glob("killed/shadows/*/last.ckpt")), process)
        workers = workers_of(process)
        workers[0].kill()
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 2
    assert errors.splitlines()[-1].startswith(
        "lightning-mia: error: A worker process of the fleet was killed (SIGKILL) at shadows/00"
    )
    assert "Traceback" not in errors
    assert all_gone(workers)
    one = [*options[:3], "1", *options[4:]]
    assert run("shadow", config, tmp_path / "killed", *one) == 0
    assert run("shadow", config, tmp_path / "undisturbed", *one) == 0
    assert_same_weights(tmp_path / "killed", tmp_path / "undisturbed")


@pytest.mark.slow
def test_workers_end_with_the_process_that_started_them(config: Path, tmp_path: Path) -> None:
    options = ["--fleet.size", "2", "--fleet.workers", "2", "--trainer.max_epochs", "2000"]
    with subprocess.Popen(
        command_line("shadow", config, tmp_path, *options), stderr=subprocess.PIPE, text=True
    ) as process:
        wait_until(lambda: list(tmp_path.glob("shadows/*/last.ckpt")), process)
        workers = workers_of(process)
        process.kill()
        assert len(workers) == 2
        assert all_gone(workers)


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["lightning", "torchrun"])
def test_a_fleet_on_two_processes_a_model(config: Path, tmp_path: Path, launcher: str) -> None:
    options = ["--fleet.size", "2", "--trainer.devices", "2", "--trainer.strategy", "ddp", "--data.batch_seconds", "2"]
    command = command_line("audit", with_bars(config, tmp_path), tmp_path / "run", *options)
    if launcher == "torchrun":
        command[:3] = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "-m", "lightning_mia"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    for number in range(2):
        exposure = pd.read_csv(tmp_path / f"run/shadows/00{number}/trained_utterances.csv")
        assert (exposure["times"] == 3).all()
    assert len(list(tmp_path.glob("run/probes/shadows-00?-answers-*.npz"))) == 2
    done = [line for line in ran.stderr.replace("\r", "\n").splitlines() if "2.0/2 models" in line]
    assert done
    assert ran.stderr.count("Shadow models:   0%") == 1  # one bar, that of the first process
