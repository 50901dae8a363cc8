"""Tests that truncated files of any container are detected."""

import os
import struct

import numpy as np
import pytest
import soundfile as sf

from lightning_mia.corpora.audio.decoding import BadAudioError, decode_file

FORMATS = {
    "wav": {},
    "rf64": {"format": "RF64"},
    "w64": {},
    "aiff": {},
    "au": {},
    "caf": {},
    "sph": {"format": "NIST"},
    "flac": {},
    "ogg": {},
    "opus": {"format": "OGG", "subtype": "OPUS"},
    "mp3": {},
}


def speechlike(n: int) -> np.ndarray:
    noise = np.random.default_rng(0).normal(size=n)
    return 0.3 * np.convolve(noise, np.ones(20) / 20, "same")


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("kept", [0.3, 0.95])
def test_truncated_files_are_rejected_and_complete_ones_accepted(tmp_path, suffix, kept):
    path = str(tmp_path / f"a.{suffix}")
    sf.write(path, speechlike(64_000), 16_000, **FORMATS[suffix])
    assert len(decode_file(path).samples) == 64_000
    os.truncate(path, int(os.path.getsize(path) * kept))
    with pytest.raises(BadAudioError, match=r"truncated|not readable"):
        decode_file(path)


@pytest.mark.parametrize("announced", [0x7FFFF000, 0xFFFFFFFF])
def test_a_wav_written_to_a_pipe_is_complete(tmp_path, announced):
    path = tmp_path / "a.wav"
    sf.write(path, speechlike(16_000), 16_000)
    content = bytearray(path.read_bytes())
    data = content.index(b"data") + 4
    content[data : data + 4] = struct.pack("<I", announced)
    path.write_bytes(content)
    assert len(decode_file(str(path)).samples) == 16_000
