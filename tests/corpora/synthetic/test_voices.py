import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from lightning_mia.corpora.synthetic import voices as synthetic
from lightning_mia.corpora.synthetic.speakers import N_SPEAKERS
from lightning_mia.corpora.synthetic.voices import SyntheticVoices
from lightning_mia.utilities.errors import InputError
from tests.terminal import Terminal


def contents(table: pd.DataFrame) -> dict[str, bytes]:
    return {identifier: Path(path).read_bytes() for identifier, path in zip(table["id"], table["path"], strict=True)}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> SyntheticVoices:
    voices = SyntheticVoices(3, 4, cache_dir=str(tmp_path_factory.mktemp("voices")))
    voices.table()
    return voices


def test_table_describes_the_recordings(small: SyntheticVoices) -> None:
    table = small.table()
    assert list(table.columns) == ["id", "path", "speaker", "text", "duration"]
    assert len(table) == 12
    assert table["id"].is_unique
    assert table["speaker"].nunique() == 3
    for row in table.to_dict("records"):
        info = soundfile.info(row["path"])
        assert (info.samplerate, info.channels, info.format, info.subtype) == (16_000, 1, "FLAC", "PCM_16")
        assert row["duration"] == info.frames / 16_000
        assert Path(row["path"]).is_absolute()
        assert 1.0 < row["duration"] < 5.0
        assert row["text"].endswith(".")


def test_recordings_are_neither_clipped_nor_silent(small: SyntheticVoices) -> None:
    for path in small.table()["path"]:
        samples, rate = soundfile.read(path)
        assert 0.05 < np.abs(samples).max() < 0.96
        frames = samples[: len(samples) // 400 * 400].reshape(-1, 400)
        loudness = 20 * np.log10(np.sqrt(np.mean(frames**2, axis=1)))
        quiet = loudness < loudness.max() - 30
        assert quiet.mean() < 0.35
        assert np.argmin(quiet) < 0.3 * rate / 400  # speech begins within 0.3 s


@pytest.mark.slow
def test_another_process_and_folder_give_the_same_bytes(small: SyntheticVoices, tmp_path: Path) -> None:
    code = (
        "import sys; from lightning_mia.corpora.synthetic.voices import SyntheticVoices\n"
        "print('\\n'.join(SyntheticVoices(3, 4, cache_dir=sys.argv[1]).table()['path']))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    process = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    recordings = [Path(path).read_bytes() for path in process.stdout.split("\n") if path]
    assert recordings == list(contents(small.table()).values())


def test_a_recording_does_not_depend_on_the_size_of_the_corpus(small: SyntheticVoices, tmp_path: Path) -> None:
    more_speakers = contents(SyntheticVoices(5, 2, cache_dir=str(tmp_path)).table())
    more_utterances = contents(SyntheticVoices(2, 6, cache_dir=str(tmp_path)).table())  # adds to the same folder
    assert len(more_speakers) == 10
    assert len(more_utterances) == 12
    for identifier, data in contents(small.table()).items():
        for other in (more_speakers, more_utterances):
            assert other.get(identifier, data) == data
    assert contents(SyntheticVoices(5, 2, cache_dir=str(tmp_path)).table()) == more_speakers


def test_another_seed_gives_other_recordings(small: SyntheticVoices) -> None:
    assert small.cache_dir
    other = contents(SyntheticVoices(1, 2, seed=1, cache_dir=small.cache_dir).table())
    this = contents(small.table())
    assert all(this[identifier] != data for identifier, data in other.items())


def test_cached_recordings_are_not_synthesised_again(
    small: SyntheticVoices, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(synthetic, "_synthesise_utterance", _forbidden)
    assert len(small.table()) == 12
    assert capsys.readouterr().err == ""


def _forbidden(*_: int) -> None:
    raise AssertionError("a cached recording was synthesised again")


def test_a_missing_file_is_synthesised_again(small: SyntheticVoices, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(small.table())
    missing = Path(small.table()["path"][6])
    missing.unlink()
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    assert contents(small.table()) == before
    bar = terminal.getvalue()
    assert "Synthesising voices" in bar
    assert "1/1" in bar


def test_interrupted_synthesis_resumes(small: SyntheticVoices, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[int, int]] = []
    synthesise = synthetic._synthesise_utterance

    def synthesise_six(seed: int, speaker: int, utterance: int) -> tuple[str, np.ndarray]:
        if len(calls) == 6:
            raise KeyboardInterrupt
        calls.append((speaker, utterance))
        return synthesise(seed, speaker, utterance)

    voices = SyntheticVoices(3, 4, cache_dir=str(tmp_path))
    monkeypatch.setattr(synthetic, "_synthesise_utterance", synthesise_six)
    with pytest.raises(KeyboardInterrupt):
        voices.table()
    first = calls.copy()
    calls[:] = [(-1, -1)] * 7  # past the interrupt
    assert contents(voices.table()) == contents(small.table())
    assert {speaker for speaker, _ in first} == {0, 1}
    assert {speaker for speaker, _ in calls[7:]} == {1, 2}  # speaker 0 was complete, speaker 1 half done
    assert not list(tmp_path.rglob(".*"))


def test_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(path: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", no_space)
    with pytest.raises(InputError, match="No space left on device") as error:
        SyntheticVoices(1, 1, cache_dir=str(tmp_path)).table()
    assert "\n" not in str(error.value)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_default_cache_is_under_the_cache_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIGHTNING_MIA_CACHE", str(tmp_path))
    path = SyntheticVoices(1, 1).table()["path"][0]
    assert Path(path).is_relative_to(tmp_path / "voices")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_speakers": N_SPEAKERS + 1}, f"give 1 to {N_SPEAKERS}"),
        ({"n_speakers": 0}, "give 1 to 128"),
        ({"utterances_per_speaker": 0}, "give 1 to 100,000"),
        ({"seed": -1}, "give 0 to"),
    ],
)
def test_numbers_out_of_range(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SyntheticVoices(**arguments)


def test_the_recipe_is_version_1(small: SyntheticVoices) -> None:
    """A change that breaks this test requires another `RECIPE`."""
    row = small.table().iloc[0]
    samples, _ = soundfile.read(row["path"])
    levels = [20 * np.log10(np.sqrt(np.mean(part**2))) for part in np.array_split(samples, 6)]
    assert synthetic.RECIPE == 1
    assert row["text"] == "My neighbour brought that apple."
    assert len(samples) == 28238
    np.testing.assert_allclose(levels, [-35.8, -33.23, -31.17, -38.1, -33.99, -37.66], atol=0.02)  # dB


def test_import_is_cheap() -> None:
    code = "import sys, lightning_mia.corpora.synthetic.voices; print([m for m in sys.argv[1:] if m in sys.modules])"
    heavy = ["torch", "scipy.signal", "soundfile", "espeakng_loader", "sklearn"]
    process = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "[]"


@pytest.mark.slow
def test_speakers_are_distinguishable(tmp_path: Path) -> None:
    """Classify speakers by nearest centroid, despite rooms and noise."""
    n_speakers, n_each = 24, 6
    table = SyntheticVoices(n_speakers, n_each, seed=3, cache_dir=str(tmp_path)).table()
    features = np.stack([_voice_print(soundfile.read(path)[0]) for path in table["path"]])
    features = ((features - features.mean(0)) / features.std(0)).reshape(n_speakers, n_each, -1)
    centroids, queries = features[:, :4].mean(1), features[:, 4:]
    distances = np.linalg.norm(queries[:, :, None] - centroids, axis=-1)  # (speaker, query, centroid)
    accuracy = np.mean(distances.argmin(-1) == np.arange(n_speakers)[:, None])
    assert accuracy > 0.6  # chance: 0.04


def _voice_print(samples: np.ndarray) -> np.ndarray:
    """Compute cepstral means, deviations and pitch (octaves), (25,)."""
    from scipy.fft import dct

    frames = np.lib.stride_tricks.sliding_window_view(samples, 800)[::160]
    frames = frames[frames.std(1) > np.median(frames.std(1))] * np.hanning(800)
    power = np.abs(np.fft.rfft(frames, 2048)) ** 2
    bands = np.add.reduceat(power, np.unique(np.geomspace(12, 1000, 31).astype(int)), axis=1)
    cepstra = dct(np.log(bands + 1e-10), axis=1, norm="ortho")[:, 1:13]
    autocorrelation = np.fft.irfft(power)[:, 40:260]  # 60 to 400 Hz
    pitch = np.log2(16_000 / (40 + np.median(autocorrelation.argmax(1))))
    return np.concatenate([cepstra.mean(0), cepstra.std(0), [pitch]])
