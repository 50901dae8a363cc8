"""Read sound files whole, or refuse them."""

import io
import mmap
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import numpy as np
import soundfile as sf

from lightning_mia.corpora.audio import BadAudioError
from lightning_mia.corpora.audio.chunks import check_length, nist_fields, wav_gsm_length
from lightning_mia.corpora.audio.external import REMEDY, check_matroska, decode_externally, decoder_name, name_format
from lightning_mia.corpora.audio.mpeg import read_stream
from lightning_mia.corpora.audio.streams import check_ogg, flac_length, flac_with_length
from lightning_mia.corpora.formats.text import printable

MIN_RATE, MAX_RATE = 1_000, 768_000
"""Sampling rates that recordings of speech can have (Hz)."""

BLOCK = 1 << 18
"""Samples of all channels read at a time."""

UNKNOWN_LENGTH = 1 << 62
"""Lengths from this value on are libsndfile's placeholder for an unknown one."""

FULL_SCALE = 8.0
"""Largest plausible peak of a float file; larger ones are on the scale of integers. Speech on that scale exceeds it."""


@dataclass(frozen=True)
class Audio:
    """A recording as stored, and its container metadata."""

    channels: np.ndarray  # (n, channels) float32, full scale is ±1
    rate: int  # Hz
    format: str  # libsndfile's name: "FLAC", "WAV" …
    subtype: str  # "PCM_16", "FLOAT" …


def read_audio(path: str) -> Audio:
    """Read all channels of a file.

    What libsndfile does not read is left to torchcodec or ffmpeg, if installed.

    Raises:
        BadAudioError: the file is missing, unreadable, not audio or truncated, other bytes follow the audio, its rate
            is outside 1–768 kHz, or it has float samples that are not finite or on the scale of integers.
    """
    _check_readable(path)
    with _mapped(path) as content:
        _check_kind(content, path)
        try:
            audio = _read(path, content)
        except sf.LibsndfileError as error:
            audio = _read_externally(path, content, error)
    peak = max(audio.channels.max(initial=0), -audio.channels.min(initial=0))
    if not np.isfinite(peak):
        n_bad = np.sum(~np.isfinite(audio.channels))
        raise BadAudioError(f"{n_bad} samples are not finite (NaN or infinite)")
    if peak > FULL_SCALE:
        raise BadAudioError(
            f"float samples up to {peak:.0f}, where full scale is 1: divide them by 32768 or their scale"
        )
    return audio


def _check_readable(path: str) -> None:
    """Reject unreadable files.

    libsndfile would only report "System error" or "Format not recognised".
    """
    if os.path.islink(path) and not os.path.exists(path):
        raise BadAudioError(f"a link to {printable(os.readlink(path))}, which does not exist")
    if not os.path.exists(path):
        raise BadAudioError("no such file")
    if not os.path.isfile(path):
        raise BadAudioError("not a file")
    if not os.access(path, os.R_OK):
        raise BadAudioError("permission denied")
    if os.path.getsize(path) == 0:
        raise BadAudioError("empty file")
    if path.lower().endswith(".raw"):
        raise BadAudioError("headerless audio of unknown rate and format")


@contextmanager
def _mapped(path: str) -> Iterator[mmap.mmap]:
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            yield content
    except (OSError, ValueError) as error:
        raise BadAudioError(f"cannot be read ({error})") from error


def _check_kind(content: mmap.mmap, path: str) -> None:
    """Name files that are known not to be read as audio."""
    if content[:23] == b"version https://git-lfs":
        raise BadAudioError("a Git LFS pointer, not the recording; run git lfs pull")
    if content[:20].lstrip(b"/.").startswith(b"annex/objects"):
        raise BadAudioError("a git-annex pointer, not the recording; run git annex get")
    coding = nist_fields(content[:4096]).get("sample_coding", "")
    if "," in coding or "shorten" in coding:
        problem = f"SPHERE with {coding.split(',')[-1].split('-v')[0]} compression"
        raise BadAudioError(f"{problem}; convert it with sph2pipe -f wav {printable(os.path.basename(path))} OUT.wav")
    if content[:4] == b"ajkg":
        raise BadAudioError("compressed with shorten; convert it with shorten -x or ffmpeg")


def _read(path: str, content: mmap.mmap) -> Audio:
    """Read with libsndfile, and compare the length with the file's."""
    with sf.SoundFile(os.fsencode(path)) as sound:
        container = sound.samplerate, sound.format, sound.subtype
        if not MIN_RATE <= sound.samplerate <= MAX_RATE:
            raise BadAudioError(f"a sampling rate of {sound.samplerate} Hz, outside 1–768 kHz: the header is damaged")
        if sound.format == "MP3":
            return Audio(_read_mp3(sound, content[:]), *container)
        check_length(content)
        is_estimate = sound.frames >= UNKNOWN_LENGTH or sound.subtype.startswith("MPEG")  # the latter in WAV
        n_samples = None if is_estimate else sound.frames
        if sound.format == "OGG":
            check_ogg(content)
        elif sound.format == "FLAC":
            n_samples = flac_length(content)
            if sound.frames >= UNKNOWN_LENGTH:
                with sf.SoundFile(io.BytesIO(flac_with_length(content[:], n_samples))) as complete:
                    return Audio(_read_blocks(complete), *container)
        channels = _read_blocks(sound)
    if n_samples is not None and len(channels) != n_samples:
        raise BadAudioError(f"truncated: the file announces {n_samples} samples, {len(channels)} can be read")
    if sound.subtype == "GSM610":
        channels = channels[: wav_gsm_length(content)]
    return Audio(channels, *container)


def _read_blocks(sound: sf.SoundFile) -> np.ndarray:
    """Read up to the end, (n, channels) float32.

    Blocks need no length in advance, which codecs without seeking (GSM, G.721) and FLAC of unknown length do not give.
    """
    blocks: list[np.ndarray] = []
    while True:
        block = sound.read(out=np.empty((-(-BLOCK // sound.channels), sound.channels), np.float32))
        if not len(block):
            return np.concatenate(blocks or [block]) if len(blocks) != 1 else blocks[0]
        blocks.append(block)


def _read_mp3(sound: sf.SoundFile, content: bytes) -> np.ndarray:
    """Read all frames of an MP3 file, (n, channels) float32."""
    stream = read_stream(content)
    channels = _read_blocks(sound) if stream.frames is None else _read_piped(stream.frames)
    if len(channels) != stream.n_samples:
        raise BadAudioError(f"damaged: {len(channels)} of {stream.n_samples} samples can be decoded")
    return channels


def _read_piped(frames: bytes) -> np.ndarray:
    """Read frames through a pipe, of which libsndfile expects no length."""
    source, sink = os.pipe()

    def write() -> None:
        with suppress(BrokenPipeError), open(sink, "wb") as file:
            file.write(frames)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with sf.SoundFile(source, closefd=False) as sound:
            return _read_blocks(sound)
    finally:
        os.close(source)
        writer.join()


def _read_externally(path: str, content: mmap.mmap, error: sf.LibsndfileError) -> Audio:
    """Read with torchcodec or ffmpeg what libsndfile does not."""
    kind = name_format(content[:64])
    cause = error.error_string.strip(" .")
    if kind is None:
        raise BadAudioError(f"not readable as audio ({cause})") from error
    if not decoder_name():
        raise BadAudioError(f"{kind}, which libsndfile does not read; {REMEDY}") from error
    if content[:4] == b"OggS":
        check_ogg(content)
    elif content[:4] == b"\x1aE\xdf\xa3":
        check_matroska(content)
    channels, rate = decode_externally(path)
    if not MIN_RATE <= rate <= MAX_RATE:
        raise BadAudioError(f"a sampling rate of {rate} Hz, outside 1–768 kHz") from error
    return Audio(channels, rate, kind, decoder_name().upper())
