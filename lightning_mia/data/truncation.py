"""Files cut short that libsndfile reads without complaint: it trusts the file's end over its header."""

import os
import re

import soundfile as sf

ANNOUNCED = re.compile(r"\b(?:data|SSND|Data Size|riff|Riff size)\s*: (\d+) \(should be (\d+)\)")
"""A line of libsndfile's log on a WAV, AIFF, AU, W64 or RF64 file whose byte count is wrong."""

NEVER_CLOSED = 0x7FFF0000
"""Bytes; who writes to a pipe puts a count from here up where it cannot know the true one."""

LAST_PAGE = 0x04
"""Bit of an Ogg page's header that marks the end of the stream (RFC 3533, section 6)."""

PAGE_HEADER, LONGEST_PAGE = 27, 65_307
"""Bytes of an Ogg page's header without its table of segments, and of the longest page."""


def missing_part(sound: sf.SoundFile, path: str) -> str | None:
    """Say what the container announces and the file lacks; None where nothing is known to be missing.

    Looked at are the end mark of Ogg, the sample count of NIST SPHERE, and the byte counts of WAV, AIFF, AU,
    W64 and RF64. FLAC and MP3 need no look: reading them fails, or gives fewer samples than announced.
    """
    if sound.format == "OGG":
        return None if _ogg_ends(path) else "the Ogg stream has no whole last page"
    if sound.format == "NIST":
        return _nist_shortfall(sound.frames, path)
    for announced, found in ANNOUNCED.findall(sound.extra_info):
        if int(found) < int(announced) < NEVER_CLOSED:
            return f"the header announces {announced} bytes, {found} are there"
    return None


def _ogg_ends(path: str) -> bool:
    """Find the last page, and see whether it is marked as such and all there."""
    with open(path, "rb") as file:
        file.seek(max(0, os.path.getsize(path) - LONGEST_PAGE))
        tail = file.read()
    page = tail[tail.rfind(b"OggS") :]
    if len(page) < PAGE_HEADER:
        return False
    flags, n_segments = page[5], page[26]
    segments = page[PAGE_HEADER : PAGE_HEADER + n_segments]  # their lengths in bytes
    return bool(flags & LAST_PAGE) and len(page) >= PAGE_HEADER + n_segments + sum(segments)


def _nist_shortfall(frames: int, path: str) -> str | None:
    with open(path, "rb") as file:
        announced = re.search(rb"sample_count -i (\d+)", file.read(1024))
    if announced and frames < int(announced[1]):
        return f"the header announces {int(announced[1])} samples, {frames} are there"
    return None
