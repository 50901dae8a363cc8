"""Decoders of AAC, M4A, WebM and AMR: torchcodec or ffmpeg, if installed."""

import io
import shutil
import subprocess
from importlib.util import find_spec

import numpy as np

from lightning_mia.corpora.audio import BadAudioError, Content

SUFFIXES = {".3gp", ".aac", ".ac3", ".amr", ".ape", ".m4a", ".m4b", ".mka", ".mp2", ".tta", ".webm", ".wma", ".wv"}
"""Audio that libsndfile does not read."""

FORMATS = (  # first byte, mark, name
    (4, b"ftyp", "M4A/MP4"),
    (0, b"\x1aE\xdf\xa3", "WebM/Matroska"),
    (28, b"\x7fFLAC", "Ogg FLAC"),
    (28, b"Speex", "Speex"),
    (0, b"#!AMR", "AMR"),
    (0, b"\xff\xf1", "AAC"),
    (0, b"\xff\xf9", "AAC"),
    (0, b"0&\xb2u\x8ef\xcf\x11", "WMA"),
    (0, b"\x0bw", "AC-3"),
    (0, b"MAC ", "APE"),
    (0, b"wvpk", "WavPack"),
    (0, b"TTA1", "TTA"),
)

SEGMENT = b"\x18S\x80g"
"""Name of the element that holds all of a Matroska file."""

UNKNOWN_SIZES = {(1 << 7 * width) - 1 for width in range(1, 9)}
"""Sizes of Matroska elements that were streamed."""

REMEDY = "install ffmpeg or pip install torchcodec, or convert the recordings to FLAC"


def name_format(content: bytes) -> str | None:
    """Name a format that libsndfile does not read; None if unknown.

    >>> name_format(b"\\x00\\x00\\x00\\x20ftypM4A ")
    'M4A/MP4'
    """
    return next((name for start, mark, name in FORMATS if content[start : start + len(mark)] == mark), None)


def check_matroska(content: Content) -> None:
    """Compare the size of a Matroska or WebM file with the one it states; ffmpeg does not.

    Raises:
        BadAudioError: truncated.
    """
    size, start = _ebml_size(content, 4)  # of the header, after its name
    name = content[start + size : start + size + 4]
    announced, begin = _ebml_size(content, start + size + 4)
    if name == SEGMENT and begin + announced > len(content) and announced not in UNKNOWN_SIZES:
        present = len(content) - begin
        raise BadAudioError(f"truncated: the header announces {announced} bytes, {present} are present")


def _ebml_size(content: Content, position: int) -> tuple[int, int]:
    """Return a size of variable width (RFC 8794, section 4), and its end."""
    first = content[position] if position < len(content) else 0
    width = 9 - first.bit_length()
    value = int.from_bytes(content[position : position + width], "big")
    return value & (1 << 7 * width) - 1, position + width


def decoder_name() -> str:
    """Return the installed decoder: torchcodec, ffmpeg or ""."""
    if find_spec("torchcodec"):
        return "torchcodec"
    return "ffmpeg" if shutil.which("ffmpeg") else ""


def decoder_state() -> tuple[str, str]:
    """Return what decoded audio depends on, for the cache's key."""
    import soundfile

    return soundfile.__libsndfile_version__, decoder_name()


def decode_externally(path: str) -> tuple[np.ndarray, int]:
    """Decode the first audio track of a file.

    Returns:
        (n, channels) float32, and the rate (Hz).

    Raises:
        BadAudioError: no decoder is installed, or it fails.
    """
    decoders = {"torchcodec": _torchcodec, "ffmpeg": _ffmpeg}
    name = decoder_name()
    if not name:
        raise BadAudioError(f"no decoder is installed: {REMEDY}")
    return decoders[name](path)


def _torchcodec(path: str) -> tuple[np.ndarray, int]:
    try:
        from torchcodec.decoders import AudioDecoder

        samples = AudioDecoder(path).get_all_samples()
    except (ImportError, OSError, RuntimeError, ValueError) as error:  # the first if it finds no libraries of ffmpeg
        raise BadAudioError(f"torchcodec: {_last_line(str(error))}") from error
    return samples.data.numpy().T, samples.sample_rate


def _ffmpeg(path: str) -> tuple[np.ndarray, int]:
    import soundfile

    # An error on the way ends the decoding (-xerror); otherwise ffmpeg conceals damaged frames.
    command = ["ffmpeg", "-nostdin", "-v", "error", "-xerror", "-i", f"file:{path}", "-map", "0:a:0"]
    command += ["-c:a", "pcm_f32be", "-f", "au", "-"]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except (OSError, ValueError) as error:
        raise BadAudioError(f"ffmpeg: {error}") from error
    if done.returncode:
        raise BadAudioError(f"ffmpeg: {_last_line(done.stderr.decode(errors='replace'))}")
    try:
        return soundfile.read(io.BytesIO(done.stdout), dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise BadAudioError(f"ffmpeg: {error.error_string.strip(' .')}") from error


def _last_line(message: str) -> str:
    lines = message.strip().splitlines()
    return lines[-1].strip(" .") if lines else "failed"
