"""Frames of MP3 files, counted.

Without the header of an encoder (Xing, Info), libsndfile estimates the length from the first frames, and reads no more.
"""

import struct
from dataclasses import dataclass

from lightning_mia.corpora.audio import BadAudioError

BITRATES = {  # kbit/s by (MPEG-1, layer) and index
    (True, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}  # Hz, by version
MONO = 3

ID3V1, APE_FOOTER = 128, 32
"""Sizes of the tags that may end a file (bytes)."""


@dataclass(frozen=True)
class FrameHeader:
    """Header of an MPEG audio frame (ISO 11172-3, section 2.4.1.3)."""

    version: int  # 3: MPEG-1, 2: MPEG-2, 0: MPEG-2.5
    layer: int
    kilobits: int  # per second
    rate: int  # Hz
    padded: bool
    mono: bool

    @property
    def n_samples(self) -> int:
        """Samples of each channel."""
        return {1: 384, 2: 1152, 3: 1152 if self.version == 3 else 576}[self.layer]

    @property
    def n_bytes(self) -> int:
        """Size of the frame."""
        slot = 4 if self.layer == 1 else 1
        return (self.n_samples // 8 * 1000 * self.kilobits // self.rate // slot + self.padded) * slot

    @property
    def info_offset(self) -> int:
        """Position of an encoder's header in the first frame."""
        if self.version == 3:
            return 4 + (17 if self.mono else 32)
        return 4 + (9 if self.mono else 17)


@dataclass(frozen=True)
class MpegStream:
    """Frames of a file, without the encoder's header."""

    n_samples: int  # of each channel, without the encoder's delay and padding where they are stored
    frames: bytes | None  # all frames, if no header states how many there are


def read_stream(content: bytes) -> MpegStream:
    """Count the frames of an MP3 file.

    Raises:
        BadAudioError: bytes that are no frame, several streams in one file, or another count than the encoder's.
    """
    start, end = _skip_tags(content)
    first = _header(content, start)
    if first is None:
        raise BadAudioError(f"no MPEG frame at byte {start}")
    is_info = _is_info(content, start, first)
    n_frames, n_samples, position = _count(content, start + first.n_bytes * is_info, end)
    if position < end and any(content[position:end]):
        _raise_surplus(content, position, end, n_frames)
    announced, trimmed = _read_info(content, start + first.info_offset) if is_info else (None, 0)
    if announced is None:
        return MpegStream(n_samples, content[start + first.n_bytes * is_info : position])
    if announced != n_frames:
        kind = "truncated: " if n_frames < announced else ""
        raise BadAudioError(f"{kind}the header announces {announced} MPEG frames, {n_frames} are present")
    return MpegStream(max(0, n_samples - trimmed), None)


def _skip_tags(content: bytes) -> tuple[int, int]:
    """Return start and end of the stream between tags."""
    start, end = 0, len(content)
    while content[start : start + 3] == b"ID3":
        size = content[start + 6 : start + 10]
        has_footer = bool(content[start + 5] & 0x10)
        start += 10 + sum((byte & 0x7F) << shift for byte, shift in zip(size, (21, 14, 7, 0), strict=False))
        start += 10 * has_footer
    if content[end - ID3V1 : end - ID3V1 + 3] == b"TAG":
        end -= ID3V1
    if content[end - APE_FOOTER : end - APE_FOOTER + 8] == b"APETAGEX":
        size, _, flags = struct.unpack_from("<III", content, end - APE_FOOTER + 12)
        end -= size + (APE_FOOTER if flags >> 31 else 0)
    return start, end


def _header(content: bytes, position: int) -> FrameHeader | None:
    """Parse the four bytes of a frame's header; None if they are not."""
    if position + 4 > len(content):
        return None
    word = int.from_bytes(content[position : position + 4], "big")
    version, layer, index, rate = word >> 19 & 3, 4 - (word >> 17 & 3), word >> 12 & 15, word >> 10 & 3
    if word >> 21 != 0x7FF or version == 1 or layer == 4 or rate == 3 or index in (0, 15):
        return None
    kilobits = BITRATES[version == 3, layer][index]
    return FrameHeader(version, layer, kilobits, RATES[version][rate], bool(word >> 9 & 1), word >> 6 & 3 == MONO)


def _count(content: bytes, position: int, end: int) -> tuple[int, int, int]:
    """Return the numbers of frames and samples, and their end."""
    n_frames = n_samples = 0
    lengths: dict[bytes, tuple[int, int]] = {}  # by the bytes that determine them
    while position < end:
        key = content[position : position + 3]
        if key not in lengths:
            header = _header(content, position)
            if header is None:
                break
            lengths[key] = header.n_bytes, header.n_samples
        n_bytes, samples = lengths[key]
        if position + n_bytes > end:
            raise BadAudioError(f"truncated: the last frame has {end - position} of {n_bytes} bytes")
        if _is_other_info(content, position):
            break
        position, n_frames, n_samples = position + n_bytes, n_frames + 1, n_samples + samples
    return n_frames, n_samples, position


def _is_other_info(content: bytes, position: int) -> bool:
    """Check for the header of another encoder, as where files were joined."""
    header = content[position + 4 : position + 44]
    return b"Info\0\0\0" in header or b"Xing\0\0\0" in header


def _is_info(content: bytes, position: int, first: FrameHeader) -> bool:
    return content[position + first.info_offset : position + first.info_offset + 4] in (b"Xing", b"Info") or (
        content[position + 36 : position + 40] == b"VBRI"
    )


def _raise_surplus(content: bytes, position: int, end: int, n_frames: int) -> None:
    joined = content[position : position + 3] == b"ID3" or _is_other_info(content, position)
    what = "another MP3 stream starts: split the file" if joined else "no MPEG frame"
    raise BadAudioError(f"{end - position} bytes follow {n_frames} frames; at byte {position}, {what}")


def _read_info(content: bytes, position: int) -> tuple[int | None, int]:
    """Return the announced frames, and samples to trim."""
    if content[position : position + 4] not in (b"Xing", b"Info"):
        return None, 0  # VBRI
    flags = struct.unpack_from(">I", content, position + 4)[0]
    announced = struct.unpack_from(">I", content, position + 8)[0] if flags & 1 else None
    lame = position + 8 + 4 * bool(flags & 1) + 4 * bool(flags & 2) + 100 * bool(flags & 4) + 4 * bool(flags & 8)
    if content[lame : lame + 4] not in (b"LAME", b"Lavf", b"Lavc"):
        return announced, 0
    delays = int.from_bytes(content[lame + 21 : lame + 24], "big")
    return announced, (delays >> 12) + (delays & 0xFFF)
