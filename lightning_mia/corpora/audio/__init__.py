"""Decode recordings to 16 kHz mono, cache and crop them."""

import mmap
from typing import TypeAlias

SAMPLE_RATE = 16_000
"""Sampling rate of all decoded and synthesised audio (Hz)."""


class BadAudioError(Exception):
    """Raised for unusable audio; the message is the reason."""


Content: TypeAlias = bytes | mmap.mmap
"""Bytes of a file."""
