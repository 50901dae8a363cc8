"""Lengths that sound files announce, compared with the bytes present.

libsndfile reads what a header announces, or as much of it as there is, without saying which.
"""

import re
import struct
from dataclasses import dataclass

from lightning_mia.corpora.audio import BadAudioError, Content

NEVER_CLOSED = 0x7FFF0000
"""Byte counts from this value on are placeholders, written by programs that stream to a pipe."""

TAG_BYTES = 128
"""Size of an ID3v1 tag, which some programs append to any format."""


@dataclass(frozen=True)
class ChunkLayout:
    """How a container of chunks stores names and sizes."""

    first: int  # byte at which the first chunk starts
    name_bytes: int
    size_format: str  # of struct
    audio: bytes  # name of the chunk that holds the audio
    alignment: int = 2  # bytes
    size_has_header: bool = False

    @property
    def header_bytes(self) -> int:
        """Size of a chunk's header."""
        return self.name_bytes + struct.calcsize(self.size_format)


CONTAINERS = {
    b"RIFF": ChunkLayout(12, 4, "<I", b"data"),
    b"RIFX": ChunkLayout(12, 4, ">I", b"data"),
    b"RF64": ChunkLayout(12, 4, "<I", b"data"),
    b"riff": ChunkLayout(40, 16, "<q", b"data", alignment=8, size_has_header=True),  # W64
    b"caff": ChunkLayout(8, 4, ">q", b"data", alignment=1),
}
FORM = {
    b"AIFF": ChunkLayout(12, 4, ">I", b"SSND"),
    b"AIFC": ChunkLayout(12, 4, ">I", b"SSND"),
    b"8SVX": ChunkLayout(12, 4, ">I", b"BODY"),
    b"16SV": ChunkLayout(12, 4, ">I", b"BODY"),
}


GSM_BLOCK_BYTES, GSM_BLOCK_SAMPLES = 65, 320
"""A block of GSM 6.10 in WAV."""


def check_length(content: Content) -> None:
    """Compare the announced length with the bytes present.

    Covers WAV, RF64, W64, AIFF, IFF, CAF, AU, NIST, AVR, MPC, VOC, WVE, SDS and MATLAB. Other formats store no
    length: everything up to the end of the file is audio.

    Args:
        content: the file; a memory map will do.

    Raises:
        BadAudioError: audio is missing, or bytes follow it.
    """
    layout = FORM.get(content[8:12]) if content[:4] == b"FORM" else CONTAINERS.get(content[:4])
    if layout is not None:
        _check_chunks(content, layout)
    elif span := _announced_audio(content):
        _check_span(content, *span)


def wav_gsm_length(content: Content) -> int | None:
    """Count the samples of GSM 6.10 in WAV; None if the size is unknown.

    libsndfile also decodes the byte that fills an odd chunk, as a block.
    """
    found = _audio_chunk(content, CONTAINERS[b"RIFF"]) if content[:4] == b"RIFF" else None
    return None if found is None else GSM_BLOCK_SAMPLES * (found[1] // GSM_BLOCK_BYTES)


def _check_span(content: Content, start: int, size: int, is_end: bool = True) -> None:
    """Check that `size` bytes of audio follow `start`, and no others."""
    if len(content) - start < size:
        present = len(content) - start
        raise BadAudioError(f"truncated: the header announces {size} bytes of audio, {present} are present")
    rest = content[start + size :]
    is_padding = len(rest) < 8 and not any(rest)
    if is_end and rest and not is_padding and not (len(rest) == TAG_BYTES and rest[:3] == b"TAG"):
        problem = f"the header announces {size} bytes of audio, but {len(rest)} more follow"
        raise BadAudioError(f"{problem}, which would not be read; correct the header or remove them")


def _check_chunks(content: Content, layout: ChunkLayout) -> None:
    """Check the chunk of the audio and those after it."""
    if found := _audio_chunk(content, layout):
        start, size = found
        # Some writers omit the byte that fills an odd chunk.
        ends = {start + size + -size % layout.alignment, start + size}
        _check_span(content, start, size, is_end=not any(_is_chunks(content, end, layout) for end in ends))


def _audio_chunk(content: Content, layout: ChunkLayout) -> tuple[int, int] | None:
    """Find the audio: its first byte and size; None if it was streamed, or a chunk is damaged."""
    position = layout.first
    while position + layout.header_bytes <= len(content):
        name, size = _chunk_at(content, position, layout)
        start = position + layout.header_bytes
        if name.startswith(layout.audio):
            if content[:4] == b"RF64" and size == 0xFFFFFFFF:
                size = struct.unpack_from("<Q", content, 28)[0]  # in the chunk ds64, always the first
            elif size < 0 or (layout.size_format[1] == "I" and size >= NEVER_CLOSED):
                return None  # up to the end of the file
            return start, size
        if size < 0:
            return None  # libsndfile reports damaged chunks
        position = start + size + -size % layout.alignment
    return None


def _chunk_at(content: Content, position: int, layout: ChunkLayout) -> tuple[bytes, int]:
    """Return a chunk's name and the size of its content."""
    name = content[position : position + layout.name_bytes]
    size = struct.unpack_from(layout.size_format, content, position + layout.name_bytes)[0]
    return name, size - layout.header_bytes if layout.size_has_header else size


def _is_chunks(content: Content, position: int, layout: ChunkLayout) -> bool:
    """Check that only complete chunks or a tag follow."""
    while position < len(content):
        if len(content) - position == TAG_BYTES and content[position : position + 3] == b"TAG":
            return True
        if position + layout.header_bytes > len(content):
            return False
        name, size = _chunk_at(content, position, layout)
        if not re.fullmatch(rb"[ -~]{4}", name[:4]) or name[:4] in {*CONTAINERS, b"FORM"} or size < 0:
            return False
        position += layout.header_bytes + size
        if position > len(content):
            return False
        position = min(position + -size % layout.alignment, len(content))
    return True


def _announced_audio(content: Content) -> tuple[int, int] | None:
    """Return first byte and number of bytes of the audio, if stored."""
    for reader in (_au, _nist, _avr, _mpc, _voc, _wve, _mat4, _mat5, _sds):
        try:
            if (span := reader(content)) is not None:
                return span
        except (struct.error, ValueError, IndexError, KeyError, ZeroDivisionError):
            return None  # libsndfile reports a damaged header
    return None


def _au(content: Content) -> tuple[int, int] | None:
    order = {b".snd": ">", b"dns.": "<"}.get(content[:4])
    if order is None:
        return None
    start, size = struct.unpack_from(f"{order}II", content, 4)
    return (start, size) if size < NEVER_CLOSED else None


def nist_fields(content: Content) -> dict[str, str]:
    """Return the header of a NIST SPHERE file; empty for other files."""
    if content[:7] != b"NIST_1A":
        return {}
    header = content[:4096].split(b"end_head")[0].decode("ascii", "replace")
    fields = (line.split(None, 2) for line in header.splitlines()[2:])
    return {words[0]: words[2].strip() for words in fields if len(words) == 3}


def _nist(content: Content) -> tuple[int, int] | None:
    fields = nist_fields(content)
    if "sample_count" not in fields:
        return None
    width, channels = int(fields.get("sample_n_bytes", 2)), int(fields.get("channel_count", 1))
    return int(content[8:16]), int(fields["sample_count"]) * width * channels


def _avr(content: Content) -> tuple[int, int] | None:
    if content[:4] != b"2BIT":
        return None
    stereo, bits = struct.unpack_from(">HH", content, 12)
    return 128, struct.unpack_from(">I", content, 26)[0] * (bits // 8) * (2 if stereo else 1)


def _mpc(content: Content) -> tuple[int, int] | None:
    if content[:2] != b"\x01\x04":
        return None
    return 42, struct.unpack_from("<I", content, 30)[0] * 2 * (2 if content[21] else 1)


def _voc(content: Content) -> tuple[int, int] | None:
    """Return the only block of audio; libsndfile rejects several."""
    if content[:19] != b"Creative Voice File":
        return None
    position = struct.unpack_from("<H", content, 20)[0]
    while content[position] in range(2, 9):  # not audio: markers, text, silence, extended parameters
        position += 4 + int.from_bytes(content[position + 1 : position + 4], "little")
    size = int.from_bytes(content[position + 1 : position + 4], "little")
    end = position + 4 + size
    return position + 4, size + (content[end : end + 1] == b"\0")  # with the mark of the end


def _wve(content: Content) -> tuple[int, int] | None:
    return (32, struct.unpack_from(">I", content, 18)[0]) if content[:13] == b"ALawSoundFile" else None


def _mat4(content: Content) -> tuple[int, int] | None:
    name = content.find(b"wavedata\0", 0, 256)
    if content[:3] == b"MAT" or name < 20:
        return None
    order = "<" if content[0] == 0 and content[4:8] == b"\1\0\0\0" else ">"
    kind, rows, columns = struct.unpack_from(f"{order}III", content, name - 20)
    width = {0: 8, 1: 4, 2: 4, 3: 2, 4: 2, 5: 1}[kind // 10 % 10]
    return name + 9, rows * columns * width


def _mat5(content: Content) -> tuple[int, int] | None:
    name = content.find(b"wavedata", 128, 1024)
    if content[:6] != b"MATLAB" or name < 0:
        return None
    order = "<" if content[126:128] == b"IM" else ">"
    return name + 16, struct.unpack_from(f"{order}I", content, name + 12)[0]


def _sds(content: Content) -> tuple[int, int] | None:
    """Count the 127-byte packets of a MIDI sample dump."""
    if content[:2] != b"\xf0\x7e":
        return None
    bits, n_samples = content[6], content[10] | content[11] << 7 | content[12] << 14
    return 21, 127 * -(-n_samples // (120 // -(-bits // 7)))
