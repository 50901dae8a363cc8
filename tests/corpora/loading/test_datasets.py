"""What happens to a recording on its way to the model."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lightning_mia.corpora import Manifest
from lightning_mia.corpora.audio.cache import AudioCache, decode
from lightning_mia.corpora.loading.augmentation import WaveformChanges
from lightning_mia.corpora.loading.datasets import Recordings
from lightning_mia.splits import UtteranceDesign
from lightning_mia.splits.data_module import SpeechDataModule


@pytest.fixture(scope="module")
def audio(tiny_manifest: Path) -> AudioCache:
    table = pd.DataFrame(Manifest(str(tiny_manifest)).table())
    return decode(table.assign(text=["word"] * 10 + [""] * (len(table) - 10)), progress=False)


def test_recordings_include_transcripts(audio: AudioCache) -> None:
    recordings = Recordings(audio, audio.index.index)
    assert [text for _, _, text in recordings][:12] == ["word"] * 10 + ["", ""]


def test_changes_apply_to_the_waveforms(audio: AudioCache) -> None:
    utterance = audio.index.index[0]
    _, plain, _ = Recordings(audio, [utterance])[0]
    _, changed, _ = Recordings(audio, [utterance], WaveformChanges(peak_normalise=True, reverse=True))[0]
    np.testing.assert_allclose(changed, plain[::-1] / np.abs(plain).max(), rtol=1e-6)
    assert changed.dtype == np.float32


def test_silence_is_not_scaled() -> None:
    silence = np.zeros(5, np.float32)
    assert np.array_equal(WaveformChanges(peak_normalise=True)(silence), silence)


@pytest.mark.parametrize(
    ("reverse", "of_training", "of_queries"),
    [("nothing", False, False), ("training", True, False), ("queries", False, True), ("both", True, True)],
)
def test_reverse_applies_to_training_or_queries(
    tiny_manifest: Path, tmp_path: Path, reverse: str, of_training: bool, of_queries: bool
) -> None:
    design = UtteranceDesign(n_units=16, n_auxiliary=8)
    module = SpeechDataModule(Manifest(str(tiny_manifest)), design, reverse=reverse)
    data = module.load(tmp_path / "split.csv")
    ids = data.split.training_ids()
    for recordings, reversed_ in (
        (data.training_recordings(ids, seed=0).recordings, of_training),
        (data.queries(ids), of_queries),
    ):
        plain = data.audio.waveform(ids[0])
        assert np.array_equal(recordings[0][1], plain[::-1] if reversed_ else plain)
