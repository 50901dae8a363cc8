"""Jobs of shadow models run here or pickled in another process."""

import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lightning_mia.audit.probing import ProbePlan
from lightning_mia.audit.shadow_models.run_jobs import expected_work, run_jobs
from lightning_mia.audit.shadow_models.shadow_model_job import ShadowModelJob
from lightning_mia.audit.shadow_models.shared_targets import with_targets
from lightning_mia.corpora import Manifest
from lightning_mia.corpora.audio.cache import AudioCache, decode
from lightning_mia.corpora.loading.datasets import Recordings, TrainingRecordings
from lightning_mia.models import CPC, TERA, HuBERT, MelHuBERT, SpeechModel, Wav2Vec2
from lightning_mia.models.checkpoint import constructor_arguments
from lightning_mia.models.learned_targets import LearnedTargets
from lightning_mia.signals.settings import ProbeSettings
from lightning_mia.training.job import TrainingJob
from lightning_mia.training.parallel.settings import FleetSettings
from lightning_mia.training.trainer_factory import TrainerFactory
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.progress_bar import Progress

TINY = {"n_layers": 1, "dim": 16, "n_heads": 2, "feedforward_dim": 32}
OPTIONS = {"max_epochs": 2, "accelerator": "cpu", "logger": False, "enable_progress_bar": False}


@pytest.fixture(scope="module")
def audio(tiny_manifest: Path) -> AudioCache:
    return decode(Manifest(str(tiny_manifest)).table(), progress=False)


def job_of(audio: AudioCache, folder: Path, model: SpeechModel | None = None, seed: int = 1) -> ShadowModelJob:
    """Train on 12 recordings, and probe with 6."""
    ids, trainers = list(audio.index.index), TrainerFactory(OPTIONS)
    name = f"shadows/{seed:03d}"
    recordings = TrainingRecordings(audio, ids[:12], n_batches=2, batch_seconds=4)
    training = TrainingJob(
        name, folder / name, model or TERA(**TINY, dropout=0.1), recordings, {"seed": seed}, seed, trainers
    )
    queries, auxiliary = Recordings(audio, ids[10:16]), Recordings(audio, ids[20:24])
    settings = ProbeSettings(n_masks=1)
    plan = ProbePlan([settings.encoder_outputs], queries, auxiliary, "", settings, folder / "probes", trainers)
    return ShadowModelJob(training, plan)


def pickled(job: ShadowModelJob) -> ShadowModelJob:
    return pickle.loads(pickle.dumps(job))


MODELS = {
    "TERA": lambda: TERA(**TINY),
    "MelHuBERT": lambda: MelHuBERT(**TINY, n_clusters=8, code_dim=8, position_kernel=8, position_groups=4),
    "HuBERT": lambda: HuBERT(**TINY, conv_channels=8, n_clusters=8, code_dim=8, position_kernel=8, position_groups=4),
    "Wav2Vec2": lambda: Wav2Vec2(**TINY, conv_channels=8, position_kernel=8, position_groups=4),
    "CPC": lambda: CPC(),
}


@pytest.mark.parametrize("family", MODELS)
def test_a_model_is_pickled_as_class_and_configuration(family: str, audio: AudioCache, tmp_path: Path) -> None:
    model = MODELS[family]()
    job = job_of(audio, tmp_path, model)
    there = pickled(job).training
    assert type(there.model) is type(model)
    assert constructor_arguments(there.model) == constructor_arguments(model)
    assert there.kind == job.training.kind


def test_targets_to_copy_are_pickled_as_a_file_name(audio: AudioCache, tmp_path: Path) -> None:
    job = job_of(audio, tmp_path, MODELS["MelHuBERT"]())
    targets = LearnedTargets(tmp_path / "target" / "model.ckpt", "0" * 64)
    (training,) = with_targets([job.training], targets)
    assert pickled(replace(job, training=training)).training.targets == targets
    assert training.settings == {**job.training.settings, "targets": "0" * 64}
    assert training.kind == job.training.kind  # like the target's, which copies none


def test_audio_is_pickled_as_a_file_name(audio: AudioCache, tmp_path: Path) -> None:
    there = pickled(job_of(audio, tmp_path))
    of_training, of_probe = there.training.recordings.recordings.audio, there.probe_plan.recordings.audio
    assert of_training is of_probe is there.probe_plan.auxiliary.audio
    assert of_training.samples.files == audio.samples.files
    assert len(pickle.dumps(job_of(audio, tmp_path))) < 2 * len(audio.samples) / 10


def test_a_pickled_job_gives_the_same_results(audio: AudioCache, tmp_path: Path) -> None:
    shares: list[float] = []
    here = job_of(audio, tmp_path / "here").run(shares.append)
    assert sum(shares) == pytest.approx(1)
    there = pickled(job_of(audio, tmp_path / "there")).without_progress_bars().on_one_device().run(shares.append)
    assert there.sha256 == here.sha256
    files = [sorted(path.name for path in (tmp_path / where / "probes").iterdir()) for where in ("here", "there")]
    assert files[0] == files[1] != []


def test_finished_steps_are_not_repeated(audio: AudioCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_of(audio, tmp_path)
    assert not job.done
    assert not job.training.folder.exists()  # `done` creates nothing
    replace(job, probe_plan=None).run(lambda _: None)
    assert replace(job, probe_plan=None).done
    assert not job.done
    job.run(lambda _: None)
    assert job.done
    assert job.training.recordings.trainer is None  # keeps no reference to the model
    monkeypatch.setattr("lightning_mia.audit.shadow_models.run_jobs.create_executor", pytest.fail)
    run_jobs([job, job], Progress(), FleetSettings(workers=2), tmp_path)  # starts no process
    next((tmp_path / "probes").glob("*.npz")).unlink()
    assert not job.done


def test_a_job_with_different_settings_is_refused_before_anything_starts(audio: AudioCache, tmp_path: Path) -> None:
    job_of(audio, tmp_path).run(lambda _: None)
    other = job_of(audio, tmp_path)
    other = replace(other, training=replace(other.training, settings={"seed": 2}))
    for call in (other.training.check, lambda: other.done, lambda: other.run(lambda _: None)):
        with pytest.raises(InputError, match="seed: 1 stored, 2 requested"):
            call()


def test_a_probe_does_not_change_how_the_next_model_is_trained(
    audio: AudioCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A probe switches TF32 off, which must not affect models trained after it."""
    for before in (True, False):
        monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", before)
        job_of(audio, tmp_path / str(before)).run(lambda _: None)
        assert torch.backends.cudnn.allow_tf32 is before


@pytest.mark.parametrize(("n_jobs", "n_workers", "n_rounds"), [(3, 1, 3), (3, 2, 2), (2, 8, 1)])
def test_workers_share_the_expected_work(
    audio: AudioCache, tmp_path: Path, n_jobs: int, n_workers: int, n_rounds: int
) -> None:
    jobs = [job_of(audio, tmp_path, seed=1 + number) for number in range(n_jobs)]
    assert jobs[0].work > jobs[0].training.work > 0
    assert expected_work(jobs, FleetSettings(workers=n_workers)) == pytest.approx(n_rounds * jobs[0].work)
