import gc
import json
import os
import weakref
from functools import partial
from pathlib import Path
from typing import ClassVar

import lightning as L
import pandas as pd
import pytest
import torch
from lightning.pytorch.callbacks import Callback

from lightning_mia.corpora import Manifest
from lightning_mia.corpora.audio.cache import AudioCache, decode
from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.corpora.loading.datasets import TrainingRecordings
from lightning_mia.models.base import SpeechModel
from lightning_mia.models.checkpoint import load_model, read_checkpoint
from lightning_mia.models.hubert import MelHuBERT
from lightning_mia.models.tera import TERA
from lightning_mia.training.callbacks import StreamedCheckpoints
from lightning_mia.training.train import Trained, train
from lightning_mia.training.trainer_factory import TrainerFactory
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import hash_of_file
from lightning_mia.utilities.stage import Stage

TINY = {"n_layers": 1, "dim": 16, "n_heads": 2, "feedforward_dim": 32, "dropout": 0.1}


def tiny_hubert() -> MelHuBERT:
    return MelHuBERT(**TINY, n_clusters=8, code_dim=8, position_kernel=8, position_groups=4)


@pytest.fixture(scope="module")
def audio(tiny_manifest: Path) -> AudioCache:
    return decode(Manifest(str(tiny_manifest)).table(), progress=False)


class Watches(Callback):
    """Keeps weak references to models in training, for all its copies."""

    models: ClassVar[list[weakref.ref]] = []

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.models.append(weakref.ref(pl_module))


class StopsAfter(Callback):
    """Ends a training as a kill would: without a word to anybody."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.current_epoch == self.epoch:
            raise RuntimeError("killed")


def run(
    audio: AudioCache,
    folder: Path,
    *callbacks: Callback,
    epochs: int = 4,
    start: SpeechModel | None = None,
    like: SpeechModel | None = None,
    **options: object,
) -> Trained:
    ids = list(audio.index.index[:30])
    recordings = TrainingRecordings(audio, ids, n_batches=3, batch_seconds=5)
    options |= {"max_epochs": epochs, "accelerator": "cpu", "enable_progress_bar": False, "logger": False}
    factory = TrainerFactory({**options, "callbacks": list(callbacks)})
    make_trainer = partial(factory.for_training, folder, "Training")
    return train(like or tiny_hubert(), recordings, Stage(folder, {"epochs": epochs}), 0, make_trainer, start)


def weights(trained: Trained) -> dict[str, torch.Tensor]:
    return dict(trained.model.state_dict())


def same(first: Trained, second: Trained) -> bool:
    mine, theirs = weights(first), weights(second)
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


@pytest.fixture(scope="module")
def undisturbed(audio: AudioCache, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return run(audio, tmp_path_factory.mktemp("undisturbed"))


def test_every_member_is_trained_on_once_per_epoch(undisturbed: Trained, audio: AudioCache) -> None:
    exposure = pd.read_csv(undisturbed.checkpoint.parent / "trained_utterances.csv", dtype={"id": str})
    assert list(exposure["id"]) == list(audio.index.index[:30])
    assert (exposure["times"] == 4).all()
    assert undisturbed.record["epochs"] == 4
    assert undisturbed.record["steps"] == 12


def test_an_interrupted_training_resumes_to_the_same_bits(
    undisturbed: Trained, audio: AudioCache, tmp_path: Path
) -> None:
    with pytest.raises(RuntimeError, match="killed"):
        run(audio, tmp_path, StopsAfter(2))
    assert (tmp_path / "last.ckpt").exists()
    resumed = run(audio, tmp_path)
    assert same(resumed, undisturbed)
    exposure = pd.read_csv(tmp_path / "trained_utterances.csv")
    assert (exposure["times"] == 4).all()
    assert not (tmp_path / "last.ckpt").exists()


def test_the_hash_is_that_of_the_weights_whenever_they_were_saved(
    undisturbed: Trained, audio: AudioCache, tmp_path: Path
) -> None:
    class StopsBeforeRecord(Callback):
        def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
            raise RuntimeError("killed")

    assert undisturbed.sha256 == undisturbed.record["weights_sha256"] != hash_of_file(undisturbed.checkpoint)
    with pytest.raises(RuntimeError, match="killed"):
        run(audio, tmp_path, StopsBeforeRecord())
    assert run(audio, tmp_path).sha256 == undisturbed.sha256


def test_weights_other_than_those_recorded_are_refused(audio: AudioCache, tmp_path: Path) -> None:
    trained = run(audio, tmp_path / "one", epochs=1)
    content = read_checkpoint(trained.checkpoint)
    name = next(iter(content["state_dict"]))
    content["state_dict"][name].view(-1)[0] += 1e-6
    trained.model.on_save_checkpoint(content)  # a hash that fits
    torch.save(content, trained.checkpoint)
    with pytest.raises(InputError, match=r"its weights are not those that .*stage\.json records; delete"):
        run(audio, tmp_path / "one", epochs=1)


def test_a_model_of_an_earlier_version_keeps_the_hash_of_its_file(audio: AudioCache, tmp_path: Path) -> None:
    trained = run(audio, tmp_path, epochs=0)
    stage = json.loads((tmp_path / "stage.json").read_text())
    del stage["record"]["weights_sha256"]
    (tmp_path / "stage.json").write_text(json.dumps({key: stage[key] for key in ("sha256", "settings", "record")}))
    assert run(audio, tmp_path, epochs=0).sha256 == hash_of_file(trained.checkpoint)


def test_a_finished_training_is_not_repeated(undisturbed: Trained, audio: AudioCache) -> None:
    before = undisturbed.checkpoint.stat().st_mtime_ns
    again = run(audio, undisturbed.checkpoint.parent, StopsAfter(0))
    assert again.checkpoint.stat().st_mtime_ns == before
    assert again.sha256 == undisturbed.sha256


def test_other_settings_in_the_same_folder_are_refused(undisturbed: Trained, audio: AudioCache) -> None:
    with pytest.raises(InputError, match="epochs: 4 stored, 5 requested"):
        run(audio, undisturbed.checkpoint.parent, epochs=5)


def test_no_epochs_give_the_initial_weights_with_targets(audio: AudioCache, tmp_path: Path) -> None:
    untrained = run(audio, tmp_path, epochs=0)
    assert not untrained.model.needs_targets
    assert untrained.record["steps"] == 0
    torch.manual_seed(0)
    fresh = tiny_hubert()
    assert torch.equal(untrained.model.codes, fresh.codes)


def test_a_training_continues_from_another_without_changing_it(
    undisturbed: Trained, audio: AudioCache, tmp_path: Path
) -> None:
    before = {name: weight.clone() for name, weight in weights(undisturbed).items()}
    assert same(run(audio, tmp_path / "none", epochs=0, start=undisturbed.model), undisturbed)
    further = run(audio, tmp_path / "one", epochs=1, start=undisturbed.model)
    assert not same(further, undisturbed)
    assert all(torch.equal(before[name], weight) for name, weight in weights(undisturbed).items())


class Collapsing(MelHuBERT):
    """Says that it has collapsed."""

    def collapse(self, health: dict[str, float]) -> str:
        return f"collapsed at a loss of {health['loss']:.0f}" if health["loss"] > 0 else ""


@pytest.mark.slow
def test_the_record_has_health_and_collapse(audio: AudioCache, tmp_path: Path) -> None:
    fine = run(audio, tmp_path / "fine", log_every_n_steps=2)
    assert fine.record["collapse"] == ""
    assert set(fine.record["health"]) == {"loss", "masked_accuracy", "code_perplexity"}
    first, last = fine.record["health"]["loss"]
    assert last < first
    collapsed = run(audio, tmp_path / "collapsed", like=Collapsing(**TINY, n_clusters=8), log_every_n_steps=2)
    assert collapsed.record["collapse"].startswith("collapsed at a loss of")


def test_a_full_disk_is_one_line_and_the_next_start_continues(
    undisturbed: Trained, audio: AudioCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = os.replace

    def full(source: str | Path, target: str | Path) -> None:
        if str(target).endswith("last.ckpt"):
            raise OSError(28, "No space left on device")
        replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", full)
        with pytest.raises(InputError, match="No space left on device"):
            run(audio, tmp_path)
    assert not list(tmp_path.glob("*.part"))
    assert same(run(audio, tmp_path), undisturbed)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a file that is always full")
def test_a_disk_that_is_full_within_a_checkpoint_is_an_os_error() -> None:
    with pytest.raises(OSError, match="No space left on device"):
        StreamedCheckpoints().save_checkpoint({"weights": torch.zeros(100_000)}, "/dev/full")


def test_a_damaged_model_names_what_to_delete(audio: AudioCache, tmp_path: Path) -> None:
    checkpoint = run(audio, tmp_path, epochs=0).checkpoint
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(InputError, match=f"delete {tmp_path} and run the same command again"):
        run(audio, tmp_path, epochs=0)


def test_checkpoints_are_safe_to_read_and_labelled(undisturbed: Trained) -> None:
    checkpoint = read_checkpoint(undisturbed.checkpoint)
    assert checkpoint["lightning_mia"]["model_class"] == "MelHuBERT"
    assert "optimizer_states" not in checkpoint


def test_a_checkpoint_of_another_family_or_config_is_refused(undisturbed: Trained) -> None:
    with pytest.raises(InputError, match="is a MelHuBERT checkpoint, but the config has TERA"):
        load_model(undisturbed.checkpoint, TERA(**TINY))
    with pytest.raises(InputError, match="n_clusters is 8 in the checkpoint, 9 in the config"):
        load_model(
            undisturbed.checkpoint,
            MelHuBERT(**TINY, n_clusters=9, code_dim=8, position_kernel=8, position_groups=4),
        )


class Dangerous:
    """Stands for anything that a pickle could run."""


@pytest.mark.parametrize(
    "content", ["text", "nothing", "weights of something else", "an object", "a folder", "no file"]
)
def test_other_files_are_refused_in_one_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "some.ckpt"
    if content == "text":
        path.write_text("hello")
    elif content == "nothing":
        path.touch()
    elif content == "weights of something else":
        torch.save({"weight": torch.zeros(3)}, path)
    elif content == "an object":
        torch.save({"state_dict": {}, "hyper_parameters": Dangerous()}, path)
    elif content == "a folder":
        path.mkdir()
    with pytest.raises(InputError) as error:
        load_model(path, tiny_hubert())
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    if content == "an object":
        assert "unsafe unpickling" in str(error.value)


class Diverging(MelHuBERT):
    """Loses its weights at a step of the second epoch."""

    at_step = 4

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        loss = super().training_step(batch, batch_idx)
        return loss * torch.nan if self.global_step == self.at_step else loss


class DivergingAtTheEnd(Diverging):
    """Loses its weights in the last step, so that no loss shows it."""

    at_step = -1

    def on_train_batch_end(self, *_: object) -> None:
        if self.global_step == 12:
            self.codes.data[0, 0] = torch.inf


@pytest.mark.parametrize(("model", "step"), [(Diverging, 5), (DivergingAtTheEnd, 12)])
def test_a_diverged_training_stops_at_once_and_does_not_lock_its_folder(
    model: type[MelHuBERT], step: int, audio: AudioCache, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=f"diverged: loss or weights are not finite at step {step}, epoch .; lower"):
        run(audio, tmp_path, like=model(**TINY, n_clusters=8))
    assert not [*tmp_path.glob("*.ckpt"), *tmp_path.glob("stage.json")]
    assert run(audio, tmp_path, epochs=1).record["epochs"] == 1


def test_a_training_that_failed_before_its_first_checkpoint_does_not_lock_its_folder(
    audio: AudioCache, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"cannot run with trainer\.callbacks \[StopsAfter\]: killed"):
        run(audio, tmp_path, StopsAfter(0))
    assert run(audio, tmp_path, epochs=1).record["epochs"] == 1


def test_a_large_model_in_training_is_freed(audio: AudioCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else gradients and optimizer states, three times its size, wait for a garbage collection."""
    gc.disable()
    try:
        run(audio, tmp_path / "small", Watches(), epochs=1)
        monkeypatch.setattr("lightning_mia.models.base.LARGE", 1)
        run(audio, tmp_path / "large", Watches(), epochs=1)
        assert [model() is None for model in Watches.models] == [True, True]
    finally:
        gc.enable()
