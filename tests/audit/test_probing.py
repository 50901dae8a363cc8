"""Work that the probes of an audit expect, and report."""

from pathlib import Path

import pytest

from lightning_mia.audit.probing import ProbePlan
from lightning_mia.corpora import Manifest
from lightning_mia.corpora.audio.cache import AudioCache, decode
from lightning_mia.corpora.loading.datasets import Recordings, TrainingRecordings
from lightning_mia.models import TERA, SpeechModel
from lightning_mia.signals.base import SignalGroup
from lightning_mia.signals.relearning import Relearning
from lightning_mia.signals.settings import ProbeSettings
from lightning_mia.signals.surrogate_pretext import SurrogateHead
from lightning_mia.training.trainer_factory import TrainerFactory
from lightning_mia.utilities.progress_bar import Progress

OPTIONS = {"max_epochs": 2, "accelerator": "cpu", "logger": False, "enable_progress_bar": False}
SETTINGS = ProbeSettings(n_masks=2, batch_seconds=8.0)
GROUPS: dict[str, SignalGroup] = {
    "answers": SETTINGS.encoder_outputs,
    "surrogate head": SurrogateHead(every=2, rounds=2),
    "relearning": Relearning(epochs=2, n_masks=2, fill_to=0),
    "relearning at a rate to be found": Relearning(epochs=1, n_masks=1, fill_to=0, halves=True),
}


class Tasks(Progress):
    """Keeps the names of its tasks."""

    def __init__(self, total: float) -> None:
        super().__init__(total)
        self.names: list[str] = []

    def describe(self, name: str) -> None:
        self.names.append(name)


@pytest.fixture(scope="module")
def audio(speakers_manifest: Path) -> AudioCache:
    return decode(Manifest(str(speakers_manifest)).table(), progress=False)


def plan_of(audio: AudioCache, group: SignalGroup, folder: Path) -> ProbePlan:
    """Probe 30 recordings, with 44 auxiliary ones."""
    ids = list(audio.index.index)
    trainings = TrainingRecordings(audio, ids[:30], n_batches=2, batch_seconds=8.0)
    queries, auxiliary = Recordings(audio, ids[:30]), Recordings(audio, ids[30:74])
    candidates, trainers = {"utterance": ids[:30]}, TrainerFactory(OPTIONS)
    return ProbePlan([group], queries, auxiliary, "", SETTINGS, folder, trainers, candidates, trainings)


@pytest.fixture
def model() -> SpeechModel:
    return TERA(dim=16, n_heads=2, feedforward_dim=32).eval()


@pytest.mark.slow
@pytest.mark.parametrize("kind", GROUPS)
def test_the_work_done_is_the_work_expected(kind: str, model: SpeechModel, audio: AudioCache, tmp_path: Path) -> None:
    if kind == "relearning":
        model.origin = {"training": "settings"}
    plan = plan_of(audio, GROUPS[kind], tmp_path)
    expected = sum(plan.works("wrong_model", model, "0").values())
    progress = Tasks(expected)
    plan.signals("wrong_model", model, "0", progress)
    assert expected > 0
    searches = kind.endswith("found")  # by three or four trials
    assert progress.done == pytest.approx(expected, rel=0.25 if searches else 0.02)
    assert progress.total == pytest.approx(progress.done)
    assert set(progress.names) == {f"wrong model: {GROUPS[kind].name.replace('_', ' ')}"}


def test_what_is_cached_is_no_work(model: SpeechModel, audio: AudioCache, tmp_path: Path) -> None:
    plan = plan_of(audio, GROUPS["answers"], tmp_path)
    seconds = plan.recordings.durations.sum()
    assert list(plan.works("target", model, "0").values()) == pytest.approx([(1.5 + 2 * 0.6) * seconds])
    plan.signals("target", model, "0")
    assert plan.works("target", model, "0") == {}
    progress = Tasks(0.0)
    plan.signals("target", model, "0", progress)
    assert progress.names == []


def test_recordings_in_shards_are_no_work(model: SpeechModel, audio: AudioCache, tmp_path: Path) -> None:
    plan = plan_of(audio, GROUPS["answers"], tmp_path)
    (path,) = plan.works("target", model, "0")
    plan.signals("target", model, "0").take(plan.recordings.ids[:20]).save(path.with_suffix(".shards") / "0.npz")
    path.unlink()
    seconds = plan.recordings.durations[20:].sum()
    assert list(plan.works("target", model, "0").values()) == pytest.approx([(1.5 + 2 * 0.6) * seconds])
