"""Alterations of recordings that a blind baseline should hear.

Each takes a mono 16 kHz waveform, (samples,) float, and a generator, and returns the altered waveform. Alterations of
`BY_SPEAKER` get a generator that is the same for all recordings of a speaker.
"""

import io
from collections.abc import Callable
from functools import partial

import numpy as np
import soundfile
from scipy.signal import butter, fftconvolve, firwin2, lfilter, resample_poly, sosfilt

RATE = 16_000
Alteration = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def gain(waveform: np.ndarray, _: np.random.Generator, *, decibels: float) -> np.ndarray:
    return waveform * 10 ** (decibels / 20)


def gain_either_way(waveform: np.ndarray, generator: np.random.Generator, *, decibels: float) -> np.ndarray:
    return waveform * 10 ** (generator.choice([-1, 1]) * decibels / 20)


def white_noise(waveform: np.ndarray, generator: np.random.Generator, *, dbfs: float) -> np.ndarray:
    return waveform + 10 ** (dbfs / 20) * generator.standard_normal(len(waveform))


def low_noise(waveform: np.ndarray, generator: np.random.Generator, *, dbfs: float) -> np.ndarray:
    noise = lfilter([1.0], [1.0, -0.97], generator.standard_normal(len(waveform)))
    return waveform + 10 ** (dbfs / 20) * noise / noise.std()


def dither(waveform: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    return waveform + generator.triangular(-1, 0, 1, len(waveform)) / 32768


def tone(waveform: np.ndarray, generator: np.random.Generator, *, hz: float, dbfs: float) -> np.ndarray:
    phase = 2 * np.pi * (hz * np.arange(len(waveform)) / RATE + generator.random())
    return waveform + 10 ** (dbfs / 20) * np.sqrt(2) * np.sin(phase)


def hum(waveform: np.ndarray, generator: np.random.Generator, *, hz: float, dbfs: float) -> np.ndarray:
    time = np.arange(len(waveform)) / RATE + generator.random()
    total = np.sum([np.sin(2 * np.pi * hz * k * time) / k for k in range(1, 6)], axis=0)
    return waveform + 10 ** (dbfs / 20) * total / total.std()


def room(waveform: np.ndarray, _: np.random.Generator, *, seconds: float, wet: float) -> np.ndarray:
    n = int(seconds * RATE)
    response = np.random.default_rng(7).standard_normal(n) * np.exp(-6.9 * np.arange(n) / n)
    response *= wet / np.linalg.norm(response)
    response[0] = 1
    return fftconvolve(waveform, response)[: len(waveform)] / np.sqrt(1 + wet**2)


def band(waveform: np.ndarray, _: np.random.Generator, *, hz: float | tuple[float, float], kind: str) -> np.ndarray:
    return sosfilt(butter(6, hz, kind, fs=RATE, output="sos"), waveform)


def shelf(waveform: np.ndarray, _: np.random.Generator, *, decibels: float) -> np.ndarray:
    return _equalised(waveform, [0.0, 0.0, decibels, decibels], [0, 1500, 3000, 8000])


def shelf_either_way(waveform: np.ndarray, generator: np.random.Generator, *, decibels: float) -> np.ndarray:
    return shelf(waveform, generator, decibels=float(generator.choice([-1, 1])) * decibels)


def equaliser(waveform: np.ndarray, generator: np.random.Generator, *, decibels: float) -> np.ndarray:
    """Filter by a random curve with six bands."""
    curve = generator.uniform(-decibels, decibels, 6)
    return _equalised(waveform, list(curve), [0, 500, 1000, 2000, 4000, 8000])


def _equalised(waveform: np.ndarray, decibels: list[float], hz: list[float]) -> np.ndarray:
    taps = firwin2(129, np.array(hz) / (RATE / 2), 10 ** (np.array(decibels) / 20))
    return fftconvolve(waveform, taps, mode="same")


def codec(waveform: np.ndarray, _: np.random.Generator, *, file_format: str, subtype: str) -> np.ndarray:
    file = io.BytesIO()
    soundfile.write(file, np.clip(waveform, -1, 1 - 2**-15), RATE, format=file_format, subtype=subtype)
    file.seek(0)
    return soundfile.read(file)[0]


def fewer_bits(waveform: np.ndarray, _: np.random.Generator, *, bits: int) -> np.ndarray:
    return np.rint(waveform * 2 ** (bits - 1)) / 2 ** (bits - 1)


def offset(waveform: np.ndarray, _: np.random.Generator, *, value: float) -> np.ndarray:
    return waveform + value


def clipping(waveform: np.ndarray, _: np.random.Generator, *, share: float) -> np.ndarray:
    limit = np.quantile(np.abs(waveform), 1 - share)
    return np.clip(waveform, -limit, limit)


def resampled(waveform: np.ndarray, _: np.random.Generator, *, up: int, down: int) -> np.ndarray:
    """Change pitch and tempo together."""
    return resample_poly(waveform, up, down)


def through_rate(waveform: np.ndarray, _: np.random.Generator, *, up: int, down: int) -> np.ndarray:
    return resample_poly(resample_poly(waveform, up, down), down, up)[: len(waveform)]


def polarity(waveform: np.ndarray, _: np.random.Generator) -> np.ndarray:
    return -waveform


def gate(waveform: np.ndarray, _: np.random.Generator, *, decibels: float) -> np.ndarray:
    """Silence what is far below the peak."""
    level = np.sqrt(np.convolve(waveform**2, np.full(320, 1 / 320), mode="same"))
    return np.where(level > np.abs(waveform).max() * 10 ** (-decibels / 20), waveform, 0.0)


def compressor(waveform: np.ndarray, _: np.random.Generator, *, exponent: float) -> np.ndarray:
    level = np.sqrt(np.convolve(waveform**2, np.full(1600, 1 / 1600), mode="same")) + 1e-4
    return waveform * (level / level.max()) ** (exponent - 1)


def trailing_silence(waveform: np.ndarray, _: np.random.Generator, *, seconds: float) -> np.ndarray:
    return np.concatenate([waveform, np.zeros(int(seconds * RATE))])


def cut_start(waveform: np.ndarray, _: np.random.Generator, *, seconds: float) -> np.ndarray:
    return waveform[int(seconds * RATE) :]


def all_pass(waveform: np.ndarray, _: np.random.Generator) -> np.ndarray:
    return lfilter([-0.7, 1.0], [1.0, -0.7], waveform)


def backwards(waveform: np.ndarray, _: np.random.Generator) -> np.ndarray:
    return waveform[::-1].copy()


def normalised(waveform: np.ndarray, _: np.random.Generator) -> np.ndarray:
    return 0.9 * waveform / np.abs(waveform).max()


ALTERATIONS: dict[str, Alteration] = {
    "level +1 dB": partial(gain, decibels=1),
    "level +3 dB": partial(gain, decibels=3),
    "level ±6 dB, either way": partial(gain_either_way, decibels=6),
    "peak normalised": normalised,
    "compressor": partial(compressor, exponent=0.8),
    "white noise −70 dBFS": partial(white_noise, dbfs=-70),
    "white noise −60 dBFS": partial(white_noise, dbfs=-60),
    "low noise −55 dBFS": partial(low_noise, dbfs=-55),
    "dither of 1 LSB": dither,
    "tone −80 dBFS": partial(tone, hz=3150, dbfs=-80),
    "hum 50 Hz, −70 dBFS": partial(hum, hz=50, dbfs=-70),
    "hum 60 Hz, −70 dBFS": partial(hum, hz=60, dbfs=-70),
    "room 0.15 s": partial(room, seconds=0.15, wet=0.5),
    "room 0.4 s": partial(room, seconds=0.4, wet=0.7),
    "low-pass 7 kHz": partial(band, hz=7000, kind="lowpass"),
    "low-pass 4 kHz": partial(band, hz=4000, kind="lowpass"),
    "high-pass 80 Hz": partial(band, hz=80, kind="highpass"),
    "telephone band": partial(band, hz=(300, 3400), kind="bandpass"),
    "shelf +1 dB": partial(shelf, decibels=1),
    "shelf +3 dB": partial(shelf, decibels=3),
    "shelf ±6 dB, either way": partial(shelf_either_way, decibels=6),
    "equaliser ±6 dB, each its own": partial(equaliser, decibels=6),
    "MP3": partial(codec, file_format="MP3", subtype="MPEG_LAYER_III"),
    "Vorbis": partial(codec, file_format="OGG", subtype="VORBIS"),
    "Opus": partial(codec, file_format="OGG", subtype="OPUS"),
    "μ-law": partial(codec, file_format="WAV", subtype="ULAW"),
    "A-law": partial(codec, file_format="WAV", subtype="ALAW"),
    "ADPCM": partial(codec, file_format="WAV", subtype="IMA_ADPCM"),
    "8 bits": partial(fewer_bits, bits=8),
    "12 bits": partial(fewer_bits, bits=12),
    "offset 0.001": partial(offset, value=0.001),
    "clipping of 0.5 %": partial(clipping, share=0.005),
    "pitch and tempo +2 %": partial(resampled, up=49, down=50),
    "through 44.1 kHz": partial(through_rate, up=441, down=160),
    "polarity": polarity,
    "all-pass": all_pass,
    "noise gate": partial(gate, decibels=45),
    "silence of 0.05 s at the end": partial(trailing_silence, seconds=0.05),
    "start cut by 0.03 s": partial(cut_start, seconds=0.03),
    "backwards": backwards,
}
BY_SPEAKER: dict[str, Alteration] = {
    "sessions of each speaker: equaliser ±3 dB": partial(equaliser, decibels=3),
    "sessions of each speaker: level ±3 dB": partial(gain_either_way, decibels=3),
}
