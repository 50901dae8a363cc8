"""Relearning in a whole audit."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from lightning_mia.attacks import Relearn
from lightning_mia.attacks.runner.requirements import check_some_can_run
from lightning_mia.audit.cli import main
from lightning_mia.audit.monitor import LeakageMonitor
from lightning_mia.corpora import Manifest
from lightning_mia.corpora.audio.cache import AudioCache, decode
from lightning_mia.corpora.loading.datasets import Recordings, TrainingRecordings
from lightning_mia.models import CPC, CTC, TERA, HuBERT, MelHuBERT, SpeechModel, Wav2Vec2
from lightning_mia.signals.base import Resources
from lightning_mia.signals.relearning import DEFAULT_RELEARNING, Relearning
from lightning_mia.signals.runner.loop import batches
from lightning_mia.signals.table import Signals
from lightning_mia.splits import Split
from lightning_mia.training.further_training import FurtherTraining
from lightning_mia.training.trainer_factory import TrainerFactory
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import hash_of

pytestmark = pytest.mark.slow

ATTACKS = json.dumps(
    [
        "PretextLoss",
        "Relearn",
        {"class_path": "CalibratedLoss", "init_args": {"signal": "RelearnScore"}},
        {"class_path": "BaVarIA", "init_args": {"signal": "RelearnScore"}},
    ]
)
SMALL = {"n_layers": 1, "dim": 16, "n_heads": 2, "feedforward_dim": 32}
POSITIONS = {"position_kernel": 8, "position_groups": 4}
CLUSTERS = {**POSITIONS, "n_clusters": 8, "code_dim": 8}
CONVOLUTIONS = {**POSITIONS, "conv_channels": 8}
FAMILIES: dict[str, Callable[[], SpeechModel]] = {
    "tera": partial(TERA, **SMALL),
    "mel_hubert": partial(MelHuBERT, **SMALL, **CLUSTERS),
    "hubert": partial(HuBERT, **SMALL, **CLUSTERS, conv_channels=8),
    "wav2vec2": partial(Wav2Vec2, **SMALL, **CONVOLUTIONS, n_negatives=8),
    "cpc": partial(CPC, dim=16, n_negatives=8),
}
TEXT = "yes no"


def audit(config: Path, run_dir: Path, *options: str) -> dict:
    assert main(["audit", "-c", str(config), "--run_dir", str(run_dir), "--attacks", ATTACKS, *options]) == 0
    return json.loads((run_dir / "report" / "results.json").read_text())


@pytest.fixture(scope="module")
def run_dir(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("relearned")
    audit(config, folder, "--fleet.size", "4")
    return folder


@pytest.fixture(scope="module")
def results(run_dir: Path) -> dict:
    return json.loads((run_dir / "report" / "results.json").read_text())


def relearned(run_dir: Path, model: str) -> Signals:
    (path,) = (run_dir / "probes").glob(f"{model}-relearning-*.npz")
    return Signals.load(path)


def test_white_box_attacks_are_a_family_of_their_own(results: dict) -> None:
    access = {attack["name"]: attack["access"] for attack in results["attacks"]}
    white_box = ("relearn", "calibrated_loss_relearn", "bavaria_relearn")
    assert access == {"pretext_loss": "grey-box", **dict.fromkeys(white_box, "white-box")}
    assert {verdict["access"] for verdict in results["verdict"]["by_level_and_access"]} == {"grey-box", "white-box"}


def test_controls_and_shadow_models_are_relearned_likewise(run_dir: Path, results: dict) -> None:
    controls = {control["name"] for control in results["controls"]}
    assert {"untrained_relearn", "wrong_model_relearn"} < controls
    in_turn = next(attack for attack in results["attacks"] if attack["name"] == "relearn")["in_turn"]
    assert in_turn["n_targets"] == 4
    models = ["target", "untrained", "wrong_model", *(f"shadows-{number:03d}" for number in range(4))]
    tables = [relearned(run_dir, model).scalars for model in models]
    assert all(list(table.dropna().index) == list(tables[0].dropna().index) for table in tables)
    assert len({hash_of(table.dropna().to_numpy().tolist()) for table in tables}) == len(models)


def test_every_candidate_is_scored_and_nothing_else(run_dir: Path) -> None:
    split = pd.read_csv(run_dir / "split.csv", dtype=str).set_index("id")
    scores = relearned(run_dir, "target").scalars
    assert list(scores) == [f"{column}@utterance" for column in DEFAULT_RELEARNING.columns]
    candidates = split.index[split["role"].isin(["member", "nonmember"])]
    assert set(scores.dropna().index) == set(candidates) and len(candidates) == 48


def test_the_score_before_is_that_of_the_pretext_loss(run_dir: Path) -> None:
    (path,) = (run_dir / "probes").glob("target-answers-*.npz")
    loss = Signals.load(path).pretext_score()
    before = relearned(run_dir, "target").scalars[f"{DEFAULT_RELEARNING.columns[0]}@utterance"].dropna()
    np.testing.assert_allclose(before, loss.loc[before.index], rtol=1e-15)


def test_the_attack_is_the_residual_over_the_candidates(run_dir: Path) -> None:
    scores = pd.read_csv(run_dir / "report" / "scores.csv", dtype={"unit_id": str})
    mine = scores[scores["attack"] == "relearn"].set_index("unit_id")["score"]
    before, after = relearned(run_dir, "target").scalars.loc[mine.index].to_numpy().T
    slope, _ = np.polyfit(after, before, 1)
    np.testing.assert_allclose(mine, before - min(slope, 1) * after, rtol=1e-6, atol=1e-9)


def test_copies_are_not_kept_and_nothing_is_trained_again(
    run_dir: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not list((run_dir / "probes").glob("*.training"))
    monkeypatch.setattr(FurtherTraining, "__call__", lambda *_, **__: pytest.fail("a copy was trained again"))
    audit(config, run_dir, "--fleet.size", "4")


def test_an_interrupted_relearning_continues_with_the_copies_it_has(
    run_dir: Path, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, names = FurtherTraining.__call__, []

    def interrupted(self, *arguments, **settings):
        names.append(settings["name"])
        if len(names) == 2:
            raise KeyboardInterrupt
        return train(self, *arguments, **settings)

    options = ["audit", "-c", str(config), "--run_dir", str(tmp_path), "--attacks", "[Relearn]"]
    with monkeypatch.context() as patch:
        patch.setattr(FurtherTraining, "__call__", interrupted)
        assert main(options) == 130
    (copy,) = (tmp_path / "probes").glob("target-relearning-*.training/*/model.ckpt")
    before = copy.stat().st_mtime_ns
    again: list[int] = []

    def noted(self, *arguments, **settings):
        answer = train(self, *arguments, **settings)
        if copy.exists():
            again.append(copy.stat().st_mtime_ns)
        return answer

    monkeypatch.setattr(FurtherTraining, "__call__", noted)
    assert main(options) == 0
    assert again[0] == before
    assert relearned(tmp_path, "target").scalars.equals(relearned(run_dir, "target").scalars)


def test_speakers_are_relearned_on_each_part(config: Path, speakers_manifest: Path, tmp_path: Path) -> None:
    design = {"class_path": "SpeakerDesign", "init_args": {"n_units": 16, "n_auxiliary": 4}}
    report = audit(config, tmp_path, "--data.corpus.path", str(speakers_manifest), "--data.design", json.dumps(design))
    parts = {attack["name"]: attack["part"] for attack in report["attacks"] if "relearn" in attack["name"]}
    assert parts == {"relearn": "held_back", "relearn_trained": "trained"}
    scores = relearned(tmp_path, "target").scalars
    split = pd.read_csv(tmp_path / "split.csv", dtype=str).set_index("id")
    for part in ("held_back", "trained"):
        (queried,) = {tuple(scores[f"{column}@speaker_{part}"].dropna().index) for column in DEFAULT_RELEARNING.columns}
        assert set(split.loc[list(queried), "part"]) == {part}


@pytest.fixture(scope="module")
def audio(tiny_manifest: Path) -> AudioCache:
    decoded = decode(Manifest(str(tiny_manifest)).table(), progress=False)
    return replace(decoded, texts=dict.fromkeys(decoded.index.index, TEXT))


def fine_tuned(folder: Path) -> SpeechModel:
    """A TERA with a new output layer for characters."""
    encoder = TERA(**SMALL)
    checkpoint: dict[str, Any] = {"state_dict": encoder.state_dict(), "hyper_parameters": dict(encoder.hparams)}
    encoder.on_save_checkpoint(checkpoint)
    torch.save(checkpoint, folder / "encoder.ckpt")
    return CTC(str(folder / "encoder.ckpt")).for_corpus({"a": TEXT}, {"a": 0.5})


@pytest.mark.parametrize("family", [*FAMILIES, "ctc"])
def test_every_family_can_be_relearned(family: str, audio: AudioCache, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = (fine_tuned(tmp_path) if family == "ctc" else FAMILIES[family]()).eval()
    ids = list(audio.index.index)[:24]
    model.origin = {"training": "some hash"}
    training = TrainingRecordings(audio, ids, n_batches=2, batch_seconds=4)
    model.fit_targets((batch.waveforms, batch.lengths) for batch in training.training_waveforms())
    options = {"accelerator": "cpu", "devices": 1, "enable_progress_bar": False}
    further = FurtherTraining(training, TrainerFactory(options), tmp_path)
    group = Relearning(n_copies=2, epochs=2, fill_to=0, n_masks=2)
    assert group.supports(model)
    measure = group.prepare(model, Resources(Recordings(audio, []), 4.0, {"utterance": ids}, further))
    with torch.inference_mode():
        measured = [measure(model, batch).scalars for batch in batches(Recordings(audio, ids), 4.0, "cpu")]
    before, after = (torch.cat([scalars[f"{column}@utterance"] for scalars in measured]) for column in group.columns)
    assert torch.isfinite(before).all() and torch.isfinite(after).all()
    assert (before != after).all()


def test_a_bare_encoder_cannot_be_relearned(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TERA, "can_pretrain", False)
    split = Split.load(run_dir / "split.csv")
    message = r"relearn needs the signals of relearning, which this model cannot provide: they take the heads .*;"
    with pytest.raises(InputError, match=message):
        check_some_can_run([Relearn()], TERA(**SMALL), split)


def test_a_monitor_does_not_train_copies() -> None:
    with pytest.raises(InputError, match="LeakageMonitor cannot run relearn, which needs further training"):
        LeakageMonitor(attacks=[Relearn()])
