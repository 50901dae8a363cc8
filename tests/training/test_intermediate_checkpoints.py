"""Trainings that end before their full length."""

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from lightning_mia.corpora import Manifest
from lightning_mia.corpora.audio.cache import AudioCache, decode
from lightning_mia.training.intermediate_checkpoints import check_length, kept_checkpoint, length_note
from lightning_mia.training.train import Trained
from lightning_mia.training.trainer_factory import TrainerFactory
from lightning_mia.utilities.errors import InputError
from tests.training.test_train import StopsAfter, run, same


@pytest.fixture(scope="module")
def audio(tiny_manifest: Path) -> AudioCache:
    return decode(Manifest(str(tiny_manifest)).table(), progress=False)


@pytest.fixture(scope="module")
def shortened(audio: AudioCache, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return run(audio, tmp_path_factory.mktemp("shortened"), stop_after_epochs=2)


def test_a_short_training_equals_the_kept_checkpoint(shortened: Trained, audio: AudioCache, tmp_path: Path) -> None:
    whole = run(audio, tmp_path, keep_epochs=[2])
    assert (whole.record["epochs"], shortened.record["epochs"]) == (4, 2)
    assert shortened.record["steps"] == whole.record["steps"] // 2
    state = torch.load(kept_checkpoint(tmp_path, 2), weights_only=True)["state_dict"]
    ours = shortened.model.state_dict()
    assert state.keys() == ours.keys()
    assert all(torch.equal(state[name], ours[name]) for name in ours)
    assert not same(whole, shortened)
    assert not same(run(audio, tmp_path / "own length", epochs=2), shortened)  # whose learning rate falls sooner


def test_a_kept_checkpoint_suffices_to_finish(shortened: Trained, audio: AudioCache, tmp_path: Path) -> None:
    whole = run(audio, tmp_path / "whole", keep_epochs=[2, 3])
    (tmp_path / "R").mkdir()
    shutil.copy(kept_checkpoint(whole.checkpoint.parent, 2), tmp_path / "R" / "last.ckpt")
    taken = run(audio, tmp_path / "R", stop_after_epochs=2)
    assert same(taken, shortened)
    for fact in ("epochs", "steps", "utterances", "health", "collapse", "notes"):
        assert taken.record[fact] == shortened.record[fact]
    tables = [pd.read_csv(trained.checkpoint.with_name("trained_utterances.csv")) for trained in (taken, shortened)]
    pd.testing.assert_frame_equal(*tables)


def test_an_interrupted_short_training_resumes_exactly(shortened: Trained, audio: AudioCache, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="killed"):
        run(audio, tmp_path, StopsAfter(1), stop_after_epochs=2)
    assert same(run(audio, tmp_path, stop_after_epochs=2), shortened)


def test_other_lengths_drop_the_options() -> None:
    trainers = TrainerFactory({"max_epochs": 4, "stop_after_epochs": 2, "keep_epochs": [1], "logger": False})
    assert "keep_epochs" not in trainers.fingerprint()
    assert trainers.fingerprint()["stop_after_epochs"] == 2
    untrained = TrainerFactory({"max_epochs": 4, "logger": False}).with_epochs(0)
    assert trainers.with_epochs(0).fingerprint() == untrained.fingerprint()


BAD_LENGTHS: dict[str, tuple[dict[str, Any], str]] = {
    "beyond the end": ({"max_epochs": 3, "stop_after_epochs": 4}, r"stop_after_epochs is 4: give 1 to .* \(3\)"),
    "before the start": ({"max_epochs": 3, "stop_after_epochs": 0}, "stop_after_epochs is 0"),
    "of a training without one": ({"max_epochs": -1, "stop_after_epochs": 1}, "stop_after_epochs is 1"),
    "two ends": ({"max_epochs": 3, "stop_after_epochs": 1, "max_steps": 5}, "trainer.max_steps both end"),
    "an end not before": ({"max_epochs": 3, "stop_after_epochs": 1, "min_epochs": 2}, "trainer.min_epochs both end"),
    "kept before the start": ({"keep_epochs": [0, 2]}, r"keep_epochs is \[0, 2\]"),
}


@pytest.mark.parametrize("kind", BAD_LENGTHS)
def test_invalid_lengths_are_refused(kind: str) -> None:
    options, message = BAD_LENGTHS[kind]
    with pytest.raises(InputError, match=message):
        check_length(options)


def test_the_report_explains_a_short_training() -> None:
    assert "after epoch 2 of training runs scheduled for 4 epochs" in length_note(
        {"stop_after_epochs": 2, "max_epochs": 4}
    )
    assert not length_note({"stop_after_epochs": 4, "max_epochs": 4})
    assert not length_note({"max_epochs": 4})
