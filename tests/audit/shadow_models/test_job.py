"""A task of a fleet, and that it can be handed to another process."""

import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lightning_mia.audit.probing import ProbePlan
from lightning_mia.audit.shadow_models.job import Task
from lightning_mia.audit.shadow_models.train import run_fleet
from lightning_mia.corpora import Manifest
from lightning_mia.corpora.audio.cache import AudioCache, decode
from lightning_mia.corpora.loading.datasets import Recordings, TrainingRecordings
from lightning_mia.models import CPC, TERA, HuBERT, MelHuBERT, SpeechModel, Wav2Vec2
from lightning_mia.models.checkpoint import hyperparameters_of
from lightning_mia.signals.settings import ProbeSettings
from lightning_mia.training.job import TrainingJob
from lightning_mia.training.parallel.settings import FleetSettings
from lightning_mia.training.trainer_factory import TrainerFactory
from lightning_mia.utilities.errors import InputError

TINY = {"n_layers": 1, "dim": 16, "n_heads": 2, "feedforward_dim": 32}
OPTIONS = {"max_epochs": 2, "accelerator": "cpu", "logger": False, "enable_progress_bar": False}


@pytest.fixture(scope="module")
def audio(tiny_manifest: Path) -> AudioCache:
    return decode(Manifest(str(tiny_manifest)).table(), progress=False)


def task_of(audio: AudioCache, folder: Path, model: SpeechModel | None = None, seed: int = 1) -> Task:
    """Train on 12 recordings, and ask about 6."""
    ids, trainers = list(audio.index.index), TrainerFactory(OPTIONS)
    name = f"shadows/{seed:03d}"
    recordings = TrainingRecordings(audio, ids[:12], n_batches=2, batch_seconds=4)
    like = model or TERA(**TINY, dropout=0.1)
    job = TrainingJob(name, folder / name, like, recordings, {"seed": seed}, seed, trainers)
    queries, auxiliary = Recordings(audio, ids[10:16]), Recordings(audio, ids[20:24])
    settings = ProbeSettings(n_masks=1)
    return Task(
        job, ProbePlan([settings.encoder_outputs], queries, auxiliary, "", settings, folder / "probes", trainers)
    )


def sent(task: Task) -> Task:
    return pickle.loads(pickle.dumps(task))


MODELS = {
    "TERA": lambda: TERA(**TINY),
    "MelHuBERT": lambda: MelHuBERT(**TINY, n_clusters=8, code_dim=8, position_kernel=8, position_groups=4),
    "HuBERT": lambda: HuBERT(**TINY, conv_channels=8, n_clusters=8, code_dim=8, position_kernel=8, position_groups=4),
    "Wav2Vec2": lambda: Wav2Vec2(**TINY, conv_channels=8, position_kernel=8, position_groups=4),
    "CPC": lambda: CPC(),
}


@pytest.mark.parametrize("family", MODELS)
def test_a_model_is_sent_as_class_and_configuration(family: str, audio: AudioCache, tmp_path: Path) -> None:
    model = MODELS[family]()
    task = task_of(audio, tmp_path, model)
    there = sent(task).training
    assert type(there.model) is type(model)
    assert hyperparameters_of(there.model) == hyperparameters_of(model)
    assert there.kind == task.training.kind


def test_the_audio_is_sent_by_the_name_of_its_file(audio: AudioCache, tmp_path: Path) -> None:
    there = sent(task_of(audio, tmp_path))
    of_training, of_probe = there.training.recordings.recordings.audio, there.interview.recordings.audio
    assert of_training is of_probe is there.interview.auxiliary.audio
    assert of_training.samples.filename == audio.samples.filename
    assert len(pickle.dumps(task_of(audio, tmp_path))) < 2 * len(audio.samples) / 10


def test_a_sent_task_does_the_same(audio: AudioCache, tmp_path: Path) -> None:
    shares: list[float] = []
    here = task_of(audio, tmp_path / "here").run(shares.append)
    assert sum(shares) == pytest.approx(1)
    there = sent(task_of(audio, tmp_path / "there")).quiet().on_one_device().run(shares.append)
    assert there.sha256 == here.sha256
    files = [sorted(path.name for path in (tmp_path / where / "probes").iterdir()) for where in ("here", "there")]
    assert files[0] == files[1] != []


def test_what_is_done_is_not_done_again(audio: AudioCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = task_of(audio, tmp_path)
    assert not task.done
    assert not task.training.folder.exists()  # to ask begins nothing
    replace(task, interview=None).run(lambda _: None)
    assert replace(task, interview=None).done
    assert not task.done
    task.run(lambda _: None)
    assert task.done
    assert task.training.recordings.trainer is None  # holds on to no model
    monkeypatch.setattr("lightning_mia.audit.shadow_models.train.create_executor", pytest.fail)
    run_fleet([task, task], "Shadow models", FleetSettings(workers=2), tmp_path, progress=False)  # starts no process
    next((tmp_path / "probes").glob("*.npz")).unlink()
    assert not task.done


def test_a_task_of_other_settings_is_refused_before_anything_starts(audio: AudioCache, tmp_path: Path) -> None:
    task_of(audio, tmp_path).run(lambda _: None)
    other = task_of(audio, tmp_path)
    other = replace(other, training=replace(other.training, settings={"seed": 2}))
    for ask in (other.training.check, lambda: other.done, lambda: other.run(lambda _: None)):
        with pytest.raises(InputError, match="seed: 1 there, 2 asked for"):
            ask()


def test_a_probe_does_not_change_how_the_next_model_is_trained(
    audio: AudioCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It switches TF32 off; whether a model comes before or after a probe must not be seen in its weights."""
    for before in (True, False):
        monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", before)
        task_of(audio, tmp_path / str(before)).run(lambda _: None)
        assert torch.backends.cudnn.allow_tf32 is before
