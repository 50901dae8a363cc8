"""Tests of the blind baseline on planted differences."""

import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile as sf
from scipy.signal import butter, fftconvolve, sosfilt

from lightning_mia.splits.blind_baseline.classifier import BlindBaseline, fit_blind_baseline
from lightning_mia.splits.blind_baseline.statistics import waveform_statistics

RATE = 16_000
N_SPEAKERS, PER_SPEAKER = 20, 10


def voice(speaker: int, rng: np.random.Generator) -> np.ndarray:
    """Synthesise about 0.8 s of voiced and unvoiced sound."""
    n = int(0.8 * RATE * np.exp(0.15 * rng.standard_normal()))
    time = np.arange(n) / RATE
    pitch = (90 + 8 * speaker) * (1 + 0.1 * np.sin(2 * np.pi * 3 * time + rng.uniform(0, 6)))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    formant = 500 + 40 * speaker + 300 * rng.random()
    buzz = sum(np.cos(k * phase) * np.exp(-(((k * pitch - formant) / 900) ** 2)) for k in range(1, 30))
    hiss = 0.2 * np.diff(rng.standard_normal(n + 1))
    syllable = np.clip(np.sin(2 * np.pi * 4 * time + rng.uniform(0, 6)), -1, 1)
    speech = 0.05 * (buzz * np.maximum(syllable, 0) + hiss * np.maximum(-syllable, 0))
    gain = 10 ** (2 * rng.standard_normal() / 20)
    return gain * speech + 10 ** (rng.uniform(-70, -60) / 20) * rng.standard_normal(n)


def longer(waveform: np.ndarray) -> np.ndarray:
    return np.concatenate([waveform, waveform[: len(waveform) // 5]])


def louder(waveform: np.ndarray) -> np.ndarray:
    return waveform * 10 ** (3 / 20)


def another_room(waveform: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(7)
    response = rng.standard_normal(4800) * np.exp(-6.9 * np.arange(4800) / RATE / 0.3)
    response *= 0.7 / np.linalg.norm(response)
    response[0] = 1
    return fftconvolve(waveform, response)[: len(waveform)] / np.sqrt(1.5)


def codec(file_format: str, subtype: str) -> Callable[[np.ndarray], np.ndarray]:
    def through(waveform: np.ndarray) -> np.ndarray:
        file = io.BytesIO()
        sf.write(file, waveform, RATE, format=file_format, subtype=subtype)
        file.seek(0)
        return sf.read(file)[0]

    return through


def telephone(waveform: np.ndarray) -> np.ndarray:
    return sosfilt(butter(8, 4000, fs=RATE, output="sos"), waveform)


CONFOUNDS = {
    "20 % longer": longer,
    "3 dB louder": louder,
    "another room": another_room,
    "MP3": codec("MP3", "MPEG_LAYER_III"),
    "Ogg Vorbis": codec("OGG", "VORBIS"),
    "μ-law": codec("WAV", "ULAW"),
    "low-pass 4 kHz": telephone,
}


def statistics_of(waveforms: list[np.ndarray]) -> pd.DataFrame:
    rows = []
    for waveform in waveforms:
        samples = np.clip(np.rint(waveform * 32768), -32768, 32767).astype(np.float32) / 32768
        rows.append({"duration_s": len(samples) / RATE, **waveform_statistics(samples)})
    return pd.DataFrame(rows)


def draw_labels(speakers: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Make half of each speaker's recordings members, (n, recordings)."""
    rng = np.random.default_rng(seed)
    halves = np.tile(np.arange(PER_SPEAKER) % 2 == 0, (n, N_SPEAKERS, 1))
    return rng.permuted(halves, axis=2).reshape(n, len(speakers))  # recordings are sorted by speaker


def fit_baseline(statistics: pd.DataFrame, speakers: np.ndarray, labels: np.ndarray) -> BlindBaseline:
    ids = statistics.index
    challenge = pd.DataFrame({"id": ids, "unit_id": ids, "speaker": speakers, "member": labels[0]})
    return fit_blind_baseline(statistics, challenge, labels[1:], "utterance")


def confounded(waveforms: list[np.ndarray], speakers: np.ndarray, confound: str) -> BlindBaseline:
    """Apply a confound to the members' recordings only."""
    labels = draw_labels(speakers, 1001, seed=0)
    change = CONFOUNDS[confound]
    changed = [change(waveform) if member else waveform for waveform, member in zip(waveforms, labels[0], strict=True)]
    return fit_baseline(statistics_of(changed), speakers, labels)


@pytest.fixture(scope="module")
def voices() -> tuple[list[np.ndarray], np.ndarray]:
    speakers = np.repeat(np.arange(N_SPEAKERS), PER_SPEAKER)
    waveforms = [voice(speaker, np.random.default_rng(seed)) for seed, speaker in enumerate(speakers)]
    return waveforms, speakers.astype(str)


@pytest.mark.slow
@pytest.mark.parametrize("confound", CONFOUNDS)
def test_a_planted_confound_is_detected(confound: str, voices: tuple[list[np.ndarray], np.ndarray]) -> None:
    fit_baseline = confounded(*voices, confound)
    assert fit_baseline.p_value < 0.001
    assert fit_baseline.aurocs[0] > 0.6


@pytest.mark.slow
def test_without_a_confound_the_baseline_is_at_chance(voices: tuple[list[np.ndarray], np.ndarray]) -> None:
    waveforms, speakers = voices
    statistics = statistics_of(waveforms)
    controls = [fit_baseline(statistics, speakers, draw_labels(speakers, 1001, seed)) for seed in range(6)]
    assert min(fit_baseline.p_value for fit_baseline in controls) > 0.001
    assert abs(np.mean([fit_baseline.aurocs[0] for fit_baseline in controls]) - 0.5) < 0.08


@pytest.fixture(scope="module")
def real_speech() -> tuple[list[np.ndarray], np.ndarray]:
    """Crop 200 recordings of 20 speakers of Arabic Speech Commands."""
    root = os.environ.get("LIGHTNING_MIA_CORPORA")
    if not root:
        pytest.skip("LIGHTNING_MIA_CORPORA is not set: no real speech")
    folder = Path(root) / "arabic-speech-commands"
    table = pd.read_csv(folder / "manifest.csv", dtype=str)
    table = table.groupby("speaker").sample(PER_SPEAKER, random_state=0)
    # All clips last one second: random crops of random length leave audio with which to lengthen them.
    rng = np.random.default_rng(0)
    waveforms = []
    for path in table["path"]:
        n = int(0.7 * RATE * np.exp(np.clip(0.15 * rng.standard_normal(), -0.3, 0.3)))
        start = rng.integers(0, RATE - n)
        waveforms.append(sf.read(folder / path)[0][start : start + n])
    return waveforms, table["speaker"].to_numpy(str)


@pytest.mark.corpora
@pytest.mark.slow
@pytest.mark.parametrize("confound", CONFOUNDS)
def test_a_confound_planted_in_real_speech_is_detected(
    confound: str, real_speech: tuple[list[np.ndarray], np.ndarray]
) -> None:
    assert confounded(*real_speech, confound).p_value < 0.001
