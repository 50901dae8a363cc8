"""Cut parts out of recordings, by time and channel, into files of the cache."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lightning_mia.corpora.audio import BadAudioError
from lightning_mia.corpora.formats.segments import segment_folder
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import atomic_path
from lightning_mia.utilities.progress_bar import tqdm

if TYPE_CHECKING:
    from lightning_mia.corpora.audio.reading import Audio

TOLERANCE = 0.1
"""Seconds by which a part may exceed its recording, or differ from all of it: times in manifests are rounded."""

LOSSLESS_RATE, LOSSLESS_CHANNELS = 655_350, 8
"""Highest sampling rate (Hz) and number of channels that FLAC stores."""


@dataclass(frozen=True)
class Part:
    """A part of a recording that is a separate utterance."""

    start: float = 0.0  # seconds, or samples
    length: float | None = None  # the same unit; None: up to the end
    in_samples: bool = False
    channel: int | None = None  # from 0; None: all

    def span(self, rate: int) -> tuple[int, int | None]:
        """Return first sample and end; None: the end of the recording."""
        unit = 1 if self.in_samples else rate
        end = None if self.length is None else round((self.start + self.length) * unit)
        return round(self.start * unit), end

    @property
    def name(self) -> str:
        """Name of its file, without suffix.

        >>> Part(1.5, 2.25, channel=0).name, Part(16_000, 8_000, in_samples=True).name
        ('1.5s+2.25s-c0', '16000n+8000n')
        """
        unit = "n" if self.in_samples else "s"
        length = "" if self.length is None else f"{self.length}{unit}"
        return f"{self.start}{unit}+{length}" + ("" if self.channel is None else f"-c{self.channel}")

    def is_whole(self, n_samples: int, rate: int, n_channels: int) -> bool:
        """Check whether it is the whole recording, within rounding."""
        first, end = self.span(rate)
        slack = TOLERANCE * rate
        is_long = end is None or abs(end - n_samples) <= slack
        return first == 0 and is_long and (self.channel is None or (self.channel, n_channels) == (0, 1))


def cut_parts(requests: Sequence[tuple[str, Part, str]], cache_dir: Path) -> list[str]:
    """Cut the missing parts; return the file of every part.

    Each recording is read once. Recordings that cannot be read are returned as they are, so that decoding reports them.

    Args:
        requests: recording, part, and the row's name, with which errors begin.
        cache_dir: folder of the parts.

    Raises:
        InputError: a part exceeds its recording, or the folder cannot be written.
    """
    by_recording: dict[str, dict[Part, str]] = {}
    for path, part, where in requests:
        by_recording.setdefault(path, {}).setdefault(part, where)
    files: dict[tuple[str, Part], str] = {}
    for path, parts in tqdm(by_recording.items(), desc="Cutting recordings", unit="file", disable=not requests):
        files |= {(path, part): file for part, file in _cut(path, parts, cache_dir).items()}
    return [files[path, part] for path, part, _ in requests]


def _cut(path: str, parts: Mapping[Part, str], cache_dir: Path) -> dict[Part, str]:
    """Return the file of every part of one recording."""
    import soundfile

    from lightning_mia.corpora.audio.reading import read_audio

    try:
        folder = segment_folder(Path(path), cache_dir)
        known = soundfile.info(path)
    except OSError:
        return dict.fromkeys(parts, path)
    except (soundfile.LibsndfileError, TypeError):  # headerless, or of an external decoder
        files = {}
    else:
        size = known.frames, known.samplerate, known.channels
        files = {part: path for part in parts if part.is_whole(*size)}
    for part in parts:
        present = [file for suffix in (".flac", ".wav") if (file := folder / f"{part.name}{suffix}").is_file()]
        if present:
            files.setdefault(part, str(present[0]))
    missing = {part: where for part, where in parts.items() if part not in files}
    if not missing:
        return files
    try:
        audio = read_audio(path)
    except BadAudioError:
        return files | dict.fromkeys(missing, path)
    size = len(audio.channels), audio.rate, audio.channels.shape[1]
    for part, where in missing.items():
        samples = _samples(audio, part, f"{where}: {path}")
        files[part] = path if part.is_whole(*size) else _write(samples, audio.rate, folder / part.name)
    return files


def _samples(audio: "Audio", part: Part, where: str) -> np.ndarray:
    """Return the samples of a part, (n, channels) float32."""
    n_samples, n_channels = audio.channels.shape
    first, end = part.span(audio.rate)
    if first >= n_samples or (end is not None and end > n_samples + TOLERANCE * audio.rate):
        until = "" if end is None else f" to {end / audio.rate:.3f} s"
        problem = f"the segment from {first / audio.rate:.3f} s{until} exceeds the {n_samples / audio.rate:.3f} s"
        raise InputError(f"{where}: {problem} of the recording; correct its times")
    if part.channel is not None and part.channel >= n_channels:
        raise InputError(f"{where}: no channel {part.channel} among {n_channels}, counted from 0; correct the channel")
    channels = slice(None) if part.channel is None else [part.channel]
    return audio.channels[first:end, channels]


def _write(samples: np.ndarray, rate: int, stem: Path) -> str:
    """Write a part: 16-bit FLAC, or float WAV where FLAC would clip it or cannot store it."""
    import soundfile

    content = io.BytesIO()  # libsndfile reports a full disk as an error without a cause
    integers = np.round(samples * 32768)
    if rate <= LOSSLESS_RATE and samples.shape[1] <= LOSSLESS_CHANNELS and np.abs(integers).max(initial=0) <= 32768:
        clipped = np.minimum(integers, 32767).astype(np.int16)  # full scale is no overload
        soundfile.write(content, clipped, rate, format="FLAC", subtype="PCM_16")
        file = stem.with_name(f"{stem.name}.flac")
    else:
        soundfile.write(content, samples, rate, format="WAV", subtype="FLOAT")
        file = stem.with_name(f"{stem.name}.wav")
    with atomic_path(file) as temporary:
        temporary.write_bytes(content.getbuffer())
    return str(file)
