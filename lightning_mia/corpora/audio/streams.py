"""Ends of FLAC and Ogg streams, verified by checksum.

libsndfile reads the first of several streams in a file, and skips damaged pages of Ogg.
"""

import re
import struct
import zlib

from lightning_mia.corpora.audio import BadAudioError, Content

LAST_PAGE, FIRST_PAGE = 0x04, 0x02
"""Bits of an Ogg page header: end and beginning of a stream (RFC 3533, section 6)."""

PAGE_HEADER = 27
"""Size of an Ogg page header without its segment table (bytes)."""

SEARCHED = 1 << 21
"""Bytes from the end in which FLAC's last frame is searched; the longest one has 524,288 samples of 32 bits."""

STREAM_INFO = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")
"""Start of a FLAC stream: its mark, and the header of the first block of metadata."""

REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
TAG_BYTES = 128


def _crc_table(polynomial: int, bits: int) -> list[int]:
    """Return the table of a checksum that shifts to the left."""
    top, mask = 1 << (bits - 1), (1 << bits) - 1
    table = []
    for byte in range(256):
        value = byte << (bits - 8)
        for _ in range(8):
            value = (value << 1 ^ (polynomial if value & top else 0)) & mask
        table.append(value)
    return table


CRC8, CRC16 = _crc_table(0x07, 8), _crc_table(0x8005, 16)


def check_ogg(content: Content) -> None:
    """Check that an Ogg file is one complete stream.

    Raises:
        BadAudioError: pages are missing, damaged or incomplete, or the file has several streams.
    """
    position = n_pages = previous = 0
    ended = False
    while position < len(content):
        page = _page(content, position)
        if page is None:
            rest = len(content) - position
            raise BadAudioError(f"{rest} bytes follow the end of the Ogg stream" if ended else _cut(content, position))
        flags, number = page[5], struct.unpack_from("<I", page, 18)[0]
        if n_pages and flags & FIRST_PAGE:
            raise BadAudioError(f"another Ogg stream starts at byte {position}: split the file")
        if _ogg_checksum(page) != struct.unpack_from("<I", page, 22)[0]:
            raise BadAudioError(f"damaged: wrong checksum of the Ogg page at byte {position}")
        if n_pages and number != previous + 1:
            raise BadAudioError(f"damaged: Ogg pages are missing before byte {position}")
        previous, ended = number, bool(flags & LAST_PAGE)
        position, n_pages = position + len(page), n_pages + 1
    if not ended:
        raise BadAudioError("truncated: the Ogg stream has no last page")


def _page(content: Content, position: int) -> bytes | None:
    """Return the page at a position; None if it is incomplete."""
    header = content[position : position + PAGE_HEADER]
    if len(header) < PAGE_HEADER or header[:4] != b"OggS":
        return None
    table = content[position + PAGE_HEADER : position + PAGE_HEADER + header[26]]
    size = PAGE_HEADER + header[26] + sum(table)
    return content[position : position + size] if position + size <= len(content) else None


def _cut(content: Content, position: int) -> str:
    if content[position : position + 4] == b"OggS":
        return "truncated: the last page of the Ogg stream is incomplete"
    return f"damaged: no Ogg page at byte {position}"


def _ogg_checksum(page: bytes) -> int:
    """Compute a page's CRC-32, whose bits are in the reverse order of zlib's."""
    blank = page[:22] + bytes(4) + page[26:]
    value = zlib.crc32(blank.translate(REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{value:032b}"[::-1], 2)


def flac_length(content: Content) -> int:
    """Return the samples of each channel, as counted by the last frame.

    Raises:
        BadAudioError: truncated, several streams in one file, or bytes after the last frame.
    """
    starts = [match.start() for match in STREAM_INFO.finditer(content)]
    if not starts:
        raise BadAudioError("damaged: no header of a FLAC stream")
    if len(starts) > 1:
        raise BadAudioError(f"another FLAC stream starts at byte {starts[1]}: split the file")
    counted = _last_frame_end(content[starts[0] :])
    if counted is None:
        raise BadAudioError("truncated: the last FLAC frame is incomplete, or other bytes follow it")
    return counted


def flac_with_length(content: bytes, n_samples: int) -> bytes:
    """Return a FLAC file whose header states its length.

    Programs that stream to a pipe leave it at zero, which libsndfile cannot read.
    """
    start = content.find(b"fLaC") + 21  # of the byte whose lower half begins the 36-bit number (RFC 9639, section 8.2)
    length = (content[start] & 0xF0) << 32 | n_samples
    return content[:start] + length.to_bytes(5, "big") + content[start + 5 :]


def _last_frame_end(content: Content) -> int | None:
    """Return the number of samples up to the end of the last frame.

    None if the stream does not end with a complete frame.
    """
    end = len(content) - TAG_BYTES if content[-TAG_BYTES:].startswith(b"TAG") else len(content)
    fixed_size = struct.unpack_from(">H", content, 10)[0]  # largest block
    position, least = end, max(42, end - SEARCHED)
    while (position := content.rfind(b"\xff", least, position)) >= 0:
        header = content[position : position + 16]
        if len(header) > 5 and header[1] in (0xF8, 0xF9):
            count = _frame_end(header, fixed_size)
            if count is not None and _checksum(content[position : end - 2], CRC16, 16) == int.from_bytes(
                content[end - 2 : end], "big"
            ):
                return count
    return None


def _frame_end(header: bytes, fixed_size: int) -> int | None:
    """Return the number of samples up to a frame's end.

    None if the bytes are no frame header (RFC 9639, section 9.1).
    """
    size_code, rate_code = header[2] >> 4, header[2] & 15
    n_extra = sum(bit == "1" for bit in f"{header[4]:08b}".split("0")[0])  # as in UTF-8
    position = 5 + max(0, n_extra - 1)
    number = header[4] & (0x7F if n_extra == 0 else 0xFF >> (n_extra + 1))
    for byte in header[5:position]:
        number = number << 6 | byte & 0x3F
    n_size = {6: 1, 7: 2}.get(size_code, 0)
    n_rate = {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    end = position + n_size + n_rate
    if size_code == 0 or end >= len(header) or _checksum(header[:end], CRC8, 8) != header[end]:
        return None
    if n_size:
        size = int.from_bytes(header[position : position + n_size], "big") + 1
    else:
        size = 192 if size_code == 1 else 144 << size_code if size_code < 6 else 1 << size_code
    return (number if header[1] & 1 else number * fixed_size) + size


def _checksum(content: Content, table: list[int], bits: int) -> int:
    value, shift, mask = 0, bits - 8, (1 << bits) - 1
    for byte in content:
        value = (value << 8 & mask) ^ table[value >> shift ^ byte]
    return value
