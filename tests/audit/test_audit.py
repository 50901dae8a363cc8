"""A whole audit of a tiny corpus, as a user runs it."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from sklearn.metrics import roc_auc_score
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lightning_mia.audit.audit_run import AuditRun
from lightning_mia.audit.blind_kinds import blind_kinds
from lightning_mia.audit.cli import main
from lightning_mia.signals.table import Signals
from lightning_mia.splits import Split
from lightning_mia.training.train import Trained
from lightning_mia.utilities.environment import result_versions
from tests.close_signals import assert_close_signals

SUBJECT = ["--report.title", "Tiny voices", "--report.by", "Privacy team"]


@pytest.fixture(scope="session")
def run_dir(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    assert main(["audit", "-c", str(config), "--run_dir", str(folder), *SUBJECT]) == 0
    return folder


def results(run_dir: Path) -> dict:
    return json.loads((run_dir / "report" / "results.json").read_text())


def only_signals(run_dir: Path, model: str = "target") -> Signals:
    (path,) = (run_dir / "probes").glob(f"{model}-*.npz")
    return Signals.load(path)


def test_the_run_directory_fulfils_the_contract(run_dir: Path) -> None:
    for name in ("split.csv", "target/model.ckpt", "wrong_model/model.ckpt", "untrained/model.ckpt"):
        assert (run_dir / name).is_file()
    for name in ("results.json", "scores.csv", "report.html", "tensorboard"):
        assert (run_dir / "report" / name).exists()
    assert list((run_dir / "target" / "tensorboard").glob("events*"))
    report = results(run_dir)
    assert {attack["name"] for attack in report["attacks"]} == {"utterance_similarity", "pretext_loss"}
    assert {control["name"] for control in report["controls"]} == {
        "blind",
        "blind_within",
        "blind_fine",
        "blind_metadata",
        *(
            f"{kind}_{name}"
            for kind in ("untrained", "wrong_model")
            for name in ("utterance_similarity", "pretext_loss")
        ),
    }
    assert report["target"]["family"] == "hubert"
    assert report["split"]["n_members"] == report["split"]["n_nonmembers"] == 24
    assert set(report["timings"]) >= {"fit_s", "probe_s", "attack_s"}


def test_scores_give_the_reported_auroc(run_dir: Path) -> None:
    scores = pd.read_csv(run_dir / "report" / "scores.csv", dtype={"unit_id": str, "speaker": str})
    split = pd.read_csv(run_dir / "split.csv", dtype={"id": str}).set_index("id")
    for result in [*results(run_dir)["attacks"], *results(run_dir)["controls"]]:
        mine = scores[(scores["attack"] == result["name"]) & (scores["level"] == result["level"])]
        assert result["auroc"] == pytest.approx(roc_auc_score(mine["member"], mine["score"]), abs=1e-12)
        assert (mine["member"].to_numpy() == split.loc[mine["unit_id"], "target"].to_numpy()).all()


def test_models_are_trained_on_the_recordings_of_the_split(run_dir: Path) -> None:
    split = pd.read_csv(run_dir / "split.csv", dtype={"id": str})
    for model, role in (("target", "member"), ("wrong_model", "auxiliary")):
        exposure = pd.read_csv(run_dir / model / "trained_utterances.csv", dtype={"id": str})
        assert set(exposure["id"]) == set(split["id"][split["role"] == role])
        assert (exposure["times"] == 3).all()


def test_a_second_run_repeats_nothing(run_dir: Path, config: Path) -> None:
    kept = [*run_dir.glob("*/model.ckpt"), *run_dir.glob("probes/*.npz")]
    before = {path: path.stat().st_mtime_ns for path in kept}
    assert main(["audit", "-c", str(config), "--run_dir", str(run_dir), *SUBJECT]) == 0
    assert {path: path.stat().st_mtime_ns for path in kept} == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--trainer.max_epochs", "4"], "trainer.max_epochs: 3 stored, 4 requested"),
        (["--seed_everything", "1"], "seed: 0 stored, 1 requested"),
        (["--model.dim", "32"], "hyperparameters.dim: 16 stored, 32 requested"),
        (["--data.split_seed", "1"], "is another split"),
        (["--data.design.n_units", "40"], "is another split"),
    ],
)
def test_other_settings_in_the_same_run_are_refused(
    run_dir: Path, config: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", "-c", str(config), "--run_dir", str(run_dir), *options]) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("lightning-mia: error: ")
    assert message in line


@pytest.mark.slow
def test_settings_that_change_no_result_are_accepted(run_dir: Path, config: Path) -> None:
    options = ["--probe.batch_seconds", "3", "--data.num_workers", "1", "--trainer.log_every_n_steps", "7"]
    assert main(["attack", "-c", str(config), "--run_dir", str(run_dir), *SUBJECT, *options]) == 0


def probe_again(run_dir: Path, config: Path, folder: Path, *options: str) -> Signals:
    """Attack the same checkpoint in another run directory, so that it is probed anew."""
    checkpoint = str(run_dir / "target" / "model.ckpt")
    arguments = ["attack", "-c", str(config), "--run_dir", str(folder), "--target_checkpoint", checkpoint, *options]
    controls = ["--controls.untrained", "false", "--controls.wrong_model", "false"]
    assert main([*arguments, *controls]) == 0
    return only_signals(folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        ["--probe.batch_seconds", "0.1"],  # one utterance at a time: no padding, another order
        ["--probe.batch_seconds", "1000"],
        ["--probe.num_workers", "2"],
    ],
)
def test_signals_do_not_depend_on_batches_or_workers(
    run_dir: Path, config: Path, tmp_path: Path, options: list[str]
) -> None:
    assert_close_signals(only_signals(run_dir), probe_again(run_dir, config, tmp_path, *options))


def test_the_report_has_its_subject_and_no_local_path(run_dir: Path, config: Path) -> None:
    report = results(run_dir)
    assert (report["title"], report["by"]) == ("Tiny voices", "Privacy team")
    assert report["corpus"].split(",")[0] in config.read_text()
    page = (run_dir / "report" / "report.html").read_text()
    for fact in ("Tiny voices", "Privacy team", report["corpus"], config.name):
        assert fact in page
    for name in ("report.html", "report.md", "results.json"):
        text = (run_dir / "report" / name).read_text()
        assert str(run_dir.parent) not in text
        assert str(config.parent) not in text
    assert str(run_dir) in (run_dir / "report" / "private.json").read_text()


def test_the_report_is_rebuilt_from_saved_results(run_dir: Path) -> None:
    page = run_dir / "report" / "report.html"
    before = page.read_bytes()
    page.unlink()
    assert main(["report", str(run_dir)]) == 0
    assert page.read_bytes() == before


def test_a_checkpoint_trained_on_another_split_is_refused(
    run_dir: Path, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = str(run_dir / "target" / "model.ckpt")
    arguments = ["attack", "-c", str(config), "--run_dir", str(tmp_path), "--target_checkpoint", checkpoint]
    assert main([*arguments, "--data.split_seed", "5"]) == 2
    assert "was trained on another split" in capsys.readouterr().err


@pytest.mark.parametrize("model", ["wrong_model", "untrained"])
@pytest.mark.parametrize("recorded", ["in the checkpoint", "in the stage"])
def test_a_checkpoint_of_another_model_of_the_run_is_refused(
    run_dir: Path, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], model: str, recorded: str
) -> None:
    folder = Path(shutil.copytree(run_dir / model, tmp_path / model))
    checkpoint = folder / "model.ckpt"
    if recorded == "in the stage":  # as earlier versions wrote it
        content = torch.load(checkpoint, weights_only=True)
        del content["lightning_mia"]["recordings"], content["content_sha256"]
        torch.save(content, checkpoint)
    arguments = ["attack", "-c", str(config), "--run_dir", str(tmp_path / "R"), "--target_checkpoint", str(checkpoint)]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert f"{checkpoint} was trained on other recordings than the members" in error


@pytest.mark.slow
def test_a_new_version_between_stages_is_said(
    run_dir: Path, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(run_dir, tmp_path / "R"))
    versions = {**result_versions(), "torch": "9.9.9"}
    monkeypatch.setattr("lightning_mia.utilities.environment.result_versions", lambda: versions)
    assert main(["attack", "-c", str(config), "--run_dir", str(folder)]) == 0
    notes = json.loads((folder / "report" / "results.json").read_text())["notes"]
    expected = (
        f"Trained or probed with torch {result_versions()['torch']}, not 9.9.9 as now: target; untrained; wrong model."
    )
    assert [note for note in notes if note.startswith(expected)]
    assert expected in capsys.readouterr().err


def test_attack_without_a_target_names_the_remedy(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["attack", "-c", str(config), "--run_dir", str(tmp_path)]) == 2
    assert "run `lightning-mia fit`" in capsys.readouterr().err


def test_shuffled_labels_bring_the_auroc_to_one_half(run_dir: Path) -> None:
    """Labels are redrawn by the design, as for the p-values."""
    scores = pd.read_csv(run_dir / "report" / "scores.csv", dtype={"unit_id": str})
    mine = scores[scores["attack"] == "pretext_loss"]
    redraws = Split.load(run_dir / "split.csv").redraw(list(mine["unit_id"]), "utterance", 300, seed=1)
    aurocs = [roc_auc_score(labels, mine["score"]) for labels in redraws]
    assert np.mean(aurocs) == pytest.approx(0.5, abs=0.02)


def predefined(manifest: Path, member: Callable[[pd.DataFrame], pd.Series]) -> Path:
    table = pd.read_csv(manifest, dtype=str)
    table["path"] = [str(manifest.parent / path) for path in table["path"]]
    path = manifest.with_name("predefined.csv")
    table.assign(member=member(table)).to_csv(path, index=False)
    return path


def longer_half(table: pd.DataFrame) -> pd.Series:
    """Make the longer half of each speaker's recordings members."""
    durations = table["path"].map(lambda path: soundfile.info(path).duration)
    return (durations.groupby(table["speaker"]).rank(method="first") > 6).astype(int)


@pytest.mark.slow
def test_a_predefined_split_is_kept(tiny_manifest: Path, config: Path, tmp_path: Path) -> None:
    manifest = predefined(tiny_manifest, lambda table: (table.groupby("speaker").cumcount() % 2).astype(str))
    assert main(["audit", "-c", str(config), "--run_dir", str(tmp_path), "--data.corpus.path", str(manifest)]) == 0
    split = pd.read_csv(tmp_path / "split.csv", dtype=str).set_index("id")
    given = pd.read_csv(manifest, dtype=str).set_index("id")
    assert (split["target"] == given.loc[split.index, "member"]).all()
    assert "there are no auxiliary or background recordings" in " ".join(results(tmp_path)["notes"])


@pytest.mark.slow
def test_the_size_of_a_predefined_split_is_judged_before_training(
    tiny_manifest: Path,
    config: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    manifest = predefined(tiny_manifest, longer_half)
    trained: list[int] = []
    fit_target = AuditRun.fit_target

    def fit(run: AuditRun) -> Trained:
        trained.append(len(caplog.records))
        return fit_target(run)

    statistics = Mock(side_effect=blind_kinds)
    monkeypatch.setattr(AuditRun, "fit_target", fit)
    monkeypatch.setattr("lightning_mia.audit.audit_run.blind_kinds", statistics)
    assert main(["audit", "-c", str(config), "--run_dir", str(tmp_path), "--data.corpus.path", str(manifest)]) == 0
    statistics.assert_called_once()
    messages = [record.getMessage() for record in caplog.records[: trained[0]]]
    (size,) = (
        message
        for message in messages
        if message.startswith("A clean split of this size (36 + 36 recordings of 6 speakers)")
    )
    assert "of cases, because so few recordings leave its upper bound above 0.60; bring about " in size
    assert any(message.startswith("The verdict will be not_assessable at utterance level: ") for message in messages)
    assert size in results(tmp_path)["notes"]
    assert results(tmp_path)["verdict"]["status"] == "not_assessable"


@pytest.mark.slow
def test_ctrl_c_ends_in_one_line_and_the_next_run_resumes(config: Path, run_dir: Path, tmp_path: Path) -> None:
    epochs = ["--trainer.max_epochs", "100"]
    command = [sys.executable, "-m", "lightning_mia", "fit", "-c", str(config), "--run_dir", str(tmp_path), *epochs]
    # A shell starts background jobs with SIGINT ignored, and children inherit that: undo it.
    reset_sigint = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=reset_sigint) as process:
        deadline = time.monotonic() + 120
        while not (tmp_path / "target" / "last.ckpt").exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert "run the same command again" in errors
    assert main(["fit", "-c", str(config), "--run_dir", str(tmp_path), *epochs]) == 0
    exposure = pd.read_csv(tmp_path / "target" / "trained_utterances.csv")
    assert (exposure["times"] == 100).all()


@pytest.mark.slow
def test_a_confounded_split_is_not_assessable(tiny_manifest: Path, config: Path, tmp_path: Path) -> None:
    manifest = predefined(tiny_manifest, longer_half)
    assert main(["audit", "-c", str(config), "--run_dir", str(tmp_path), "--data.corpus.path", str(manifest)]) == 0
    verdict = results(tmp_path)["verdict"]
    assert verdict["status"] == "not_assessable"
    assert {group["status"] for group in verdict["by_level_and_access"]} == {"not_assessable"}


def test_the_log_contains_training_health(run_dir: Path) -> None:
    events = EventAccumulator(str(run_dir / "target" / "tensorboard"))
    events.Reload()
    assert set(events.Tags()["scalars"]) >= {
        "train/loss",
        "train/masked_accuracy",
        "train/code_perplexity",
        "train/grad_norm",
        "train/audio_seconds_per_second",
        "train/learning_rate",
    }


@pytest.mark.slow
def test_speaker_level_from_the_command_line(config: Path, speakers_manifest: Path, tmp_path: Path) -> None:
    design = {"class_path": "lightning_mia.splits.SpeakerDesign", "init_args": {"n_units": 14, "n_auxiliary": 6}}
    options = ["--data.corpus.path", str(speakers_manifest), "--data.design", json.dumps(design)]
    assert main(["audit", "-c", str(config), "--run_dir", str(tmp_path), *options]) == 0
    assert {attack["name"] for attack in results(tmp_path)["attacks"]} == {
        f"{name}{suffix}" for name in ("speaker_similarity", "pretext_loss") for suffix in ("", "_trained")
    }
    assert results(tmp_path)["split"]["level"] == "speaker"


@pytest.mark.slow
def test_each_part_of_a_predefined_split_has_a_blind_baseline(
    speakers_manifest: Path, config: Path, tmp_path: Path
) -> None:
    """Only some of the member speakers have held-back recordings."""

    def member(table: pd.DataFrame) -> pd.Series:
        number, clip = table["speaker"].str[1:].astype(int), table.groupby("speaker").cumcount()
        values = pd.Series(np.where(number < 8, "1", "0"), index=table.index)
        return values.mask((number < 5) & (clip > 2), "held_back").mask(number >= 16, "")

    manifest = predefined(speakers_manifest, member)
    options = ["--data.corpus.path", str(manifest), "--data.level", "speaker"]
    assert main(["audit", "-c", str(config), "--run_dir", str(tmp_path), *options]) == 0
    report = results(tmp_path)
    assert {"blind", "blind_trained"} <= {
        control["name"] for control in report["controls"] if control["level"] == "speaker"
    }
    by_name = {(attack["name"], attack["level"]): attack for attack in report["attacks"]}
    assert by_name["speaker_similarity_trained", "speaker"]["n_members"] == 8
    assert by_name["speaker_similarity", "speaker"]["n_members"] == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--trainer.fast_dev_run", "true"], "fast_dev_run omits recordings"),
        (["--attacks", "[PretextLoss, PretextLoss]"], "Several attacks have the same name: pretext_loss"),
    ],
)
def test_options_that_would_falsify_an_audit_are_refused(
    config: Path, tmp_path: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", "-c", str(config), "--run_dir", str(tmp_path), *options]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_a_training_that_left_members_out_gets_no_verdict(config: Path, tmp_path: Path) -> None:
    options = ["--controls.untrained", "false", "--fleet.size", "2", "--trainer.max_steps", "1"]
    options += ["--attacks", "[PretextLoss]", "--evaluation.n_redraws", "1000", "--evaluation.n_bootstraps", "1000"]
    assert main(["audit", "-c", str(config), "--run_dir", str(tmp_path), *options]) == 0
    verdict = results(tmp_path)["verdict"]
    assert verdict["status"] == "not_assessable"
    times = pd.read_csv(tmp_path / "target" / "trained_utterances.csv", dtype={"id": str}).set_index("id")["times"]
    missing = [name for name in times.index if times[name] == 0]
    assert f"the target's left out {len(missing)} ({missing[0]}; " in verdict["reason"]
    assert "the wrong model's left out " in verdict["reason"]
    assert "that of shadows/001 left out " in verdict["reason"]
