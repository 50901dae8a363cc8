"""Recordings that a training never reached."""

from pathlib import Path

import lightning as L
import pandas as pd
import pytest
from lightning.pytorch.callbacks import Callback, EarlyStopping

from lightning_mia.corpora.audio.cache import AudioCache
from lightning_mia.training.exposures import exposure_obstacle, unexposed
from lightning_mia.training.train import Trained
from lightning_mia.utilities.errors import InputError
from tests.training.test_train import audio, run, undisturbed  # noqa: F401


class StopsAfterABatch(Callback):
    """Asks the Trainer to stop within an epoch."""

    def on_train_batch_end(self, trainer: L.Trainer, *_: object) -> None:
        trainer.should_stop = True


class StopsBeforeAStep(Callback):
    """Ends the epoch while gradients accumulate."""

    def on_train_batch_start(self, trainer: L.Trainer, module: L.LightningModule, batch: object, index: int) -> int:
        trainer.should_stop = True
        return -1 if index == 1 else 0


SHORTENED = {
    "no steps": {"max_steps": 0},
    "no time": {"max_time": "00:00:00:00"},
    "no epochs": {"epochs": 0},
    "one of three steps": {"max_steps": 1},
    "a callback": {"callback": StopsAfterABatch()},
    "gradients without a step": {"callback": StopsBeforeAStep(), "accumulate_grad_batches": 3},
}


@pytest.mark.parametrize("kind", SHORTENED)
def test_recordings_that_were_never_trained_on_are_named(
    kind: str,
    audio: AudioCache,  # noqa: F811
    tmp_path: Path,
) -> None:
    options = dict(SHORTENED[kind])
    callbacks = [options.pop("callback")] if "callback" in options else []
    trained = run(audio, tmp_path, *callbacks, **options)
    ids = list(audio.index.index[:30])
    times = pd.read_csv(tmp_path / "trained_utterances.csv", dtype={"id": str}).set_index("id")["times"]
    missing = unexposed(trained, ids)
    assert missing == [name for name in ids if times[name] == 0] != []
    assert (len(missing) == 30) == (trained.record["steps"] == 0)
    assert f"the target's left out {len(missing)} ({missing[0]}; " in exposure_obstacle({"target": missing})


def test_a_whole_training_leaves_nothing_out(undisturbed: Trained, audio: AudioCache) -> None:  # noqa: F811
    assert unexposed(undisturbed, audio.index.index[:30]) == []


def test_early_stopping_after_the_first_epoch_leaves_nothing_out(audio: AudioCache, tmp_path: Path) -> None:  # noqa: F811
    stops = EarlyStopping("train/loss", check_on_train_epoch_end=True, stopping_threshold=1e9)
    trained = run(audio, tmp_path, stops)
    assert trained.record["epochs"] == 1
    assert unexposed(trained, audio.index.index[:30]) == []


def test_nothing_is_known_about_a_model_trained_elsewhere(undisturbed: Trained) -> None:  # noqa: F811
    assert unexposed(Trained(undisturbed.model, Path("elsewhere.ckpt"), "", {"parameters": 1}), ["a"]) == []


def test_counts_that_were_edited_are_refused(undisturbed: Trained, tmp_path: Path) -> None:  # noqa: F811
    table = pd.read_csv(undisturbed.checkpoint.with_name("trained_utterances.csv"), dtype={"id": str})
    table["times"] += 1
    table.to_csv(tmp_path / "trained_utterances.csv", index=False)
    moved = Trained(undisturbed.model, tmp_path / "model.ckpt", "", dict(undisturbed.record))
    with pytest.raises(InputError, match=r"trained_utterances\.csv is not the file that the training wrote.*; delete"):
        unexposed(moved, table["id"])
    del moved.record["exposures_sha256"]  # of an earlier version
    assert unexposed(moved, table["id"]) == []


def test_a_missing_record_is_refused(undisturbed: Trained, tmp_path: Path) -> None:  # noqa: F811
    moved = Trained(undisturbed.model, tmp_path / "model.ckpt", "", undisturbed.record)
    with pytest.raises(InputError, match=r"trained_utterances\.csv is missing or damaged; delete"):
        unexposed(moved, ["a"])
