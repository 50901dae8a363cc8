"""Tests of decoders outside libsndfile."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from lightning_mia.corpora.audio import BadAudioError
from lightning_mia.corpora.audio.decoding import decode_file
from lightning_mia.corpora.audio.external import check_matroska, decoder_name

M4A = b"\0\0\0\x20ftypM4A " + bytes(1000)


@pytest.fixture
def ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Install a program named ffmpeg: a script of the shell."""

    def install(script: str) -> None:
        program = tmp_path / "bin" / "ffmpeg"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
        monkeypatch.setattr("lightning_mia.corpora.audio.external.find_spec", lambda name: None)

    return install


@pytest.mark.parametrize(
    ("content", "name"), [(M4A, "M4A/MP4"), (b"\x1aE\xdf\xa3" + bytes(99), "WebM/Matroska"), (b"#!AMR\n0000", "AMR")]
)
def test_without_a_decoder_format_and_remedy_are_named(tmp_path, monkeypatch, content, name):
    monkeypatch.setattr("lightning_mia.corpora.audio.external.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    path = tmp_path / "a.bin"
    path.write_bytes(content)
    assert decoder_name() == ""
    with pytest.raises(BadAudioError, match=f"{name}, which libsndfile does not read; install ffmpeg or pip install"):
        decode_file(str(path))


def test_ffmpeg_decodes_what_libsndfile_does_not(tmp_path, ffmpeg, speech, encode):
    (tmp_path / "decoded.au").write_bytes(encode(speech, "AU", subtype="FLOAT"))
    ffmpeg(f"cat {tmp_path}/decoded.au")
    path = tmp_path / "a.m4a"
    path.write_bytes(M4A)
    decoded = decode_file(str(path))
    np.testing.assert_array_equal(decoded.samples, np.round(speech.astype(np.float32) * 32768).astype(np.int16))
    assert (decoded.source_format, decoded.source_subtype) == ("M4A/MP4", "FFMPEG")


def test_an_error_of_ffmpeg_is_the_reason(tmp_path, ffmpeg):
    ffmpeg("echo first >&2; echo 'moov atom not found' >&2; exit 1")
    path = tmp_path / "a.m4a"
    path.write_bytes(M4A)
    with pytest.raises(BadAudioError, match="ffmpeg: moov atom not found"):
        decode_file(os.fspath(path))


def test_truncated_matroska_is_noticed():
    header, segment = b"\x1aE\xdf\xa3\x84" + bytes(4), b"\x18S\x80g"
    check_matroska(header + segment + b"\x85" + bytes(5))
    check_matroska(header + segment + b"\x01" + b"\xff" * 7 + bytes(5))  # streamed
    with pytest.raises(BadAudioError, match="truncated: the header announces 5 bytes, 4 are present"):
        check_matroska(header + segment + b"\x85" + bytes(4))


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
@pytest.mark.parametrize(
    ("suffix", "codec", "exact"), [("m4a", "alac", True), ("wv", "wavpack", True), ("m4a", "aac", False)]
)
def test_real_files(tmp_path, speech, suffix, codec, exact):
    source, path = str(tmp_path / "a.wav"), str(tmp_path / f"a.{suffix}")
    sf.write(source, speech, 16_000)
    subprocess.run(["ffmpeg", "-v", "error", "-i", source, "-c:a", codec, path], check=True)
    expected, decoded = decode_file(source).samples, decode_file(path).samples
    if exact:
        np.testing.assert_array_equal(decoded, expected)
    else:
        assert len(expected) <= len(decoded) <= len(expected) + 2048
        assert np.corrcoef(decoded[: len(expected)], expected)[0, 1] > 0.9
