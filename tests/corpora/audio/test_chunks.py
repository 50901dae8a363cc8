"""Tests of announced lengths: every container, whole, cut and continued."""

import struct

import numpy as np
import pytest
import soundfile as sf

from lightning_mia.corpora.audio import BadAudioError
from lightning_mia.corpora.audio.chunks import check_length, nist_fields, wav_gsm_length

COUNTED = sorted(
    set(sf.available_formats()) - {"FLAC", "HTK", "IRCAM", "MP3", "OGG", "PAF", "PVF", "RAW", "SD2", "WAVEX", "XI"}
)
"""Formats that store the length of their audio."""


@pytest.mark.parametrize("audio_format", COUNTED)
@pytest.mark.parametrize("n_samples", [16_000, 16_001])
def test_whole_files_pass_and_cut_or_continued_ones_do_not(speech, encode, audio_format, n_samples):
    for subtype in sf.available_subtypes(audio_format):
        for channels in (1, 2):
            samples = np.stack([speech[:n_samples]] * channels, axis=1)
            try:
                content = encode(samples, audio_format, 8_000, subtype=subtype)
            except sf.LibsndfileError:  # not written with these channels
                continue
            check_length(content)
            with pytest.raises(BadAudioError, match=r"truncated: the header announces \d+ bytes of audio, \d+ are"):
                check_length(content[:-200])
            with pytest.raises(BadAudioError, match=r"bytes of audio, but 4\d\d\d more follow|truncated"):
                check_length(content + bytes(range(1, 251)) * 16)


def test_a_header_that_announces_half_is_refused_with_both_numbers(speech, encode):
    content = bytearray(encode(speech, "WAV"))
    content[40:44] = struct.pack("<I", len(speech))  # bytes: half the samples
    with pytest.raises(BadAudioError, match=f"announces {len(speech)} bytes of audio, but {len(speech)} more follow"):
        check_length(bytes(content))
    content[40:44] = bytes(4)
    with pytest.raises(BadAudioError, match=f"announces 0 bytes of audio, but {2 * len(speech)} more follow"):
        check_length(bytes(content))


def test_chunks_and_tags_after_the_audio_are_no_audio(speech, encode):
    content = encode(speech[:16_001].astype(np.float32), "WAV", subtype="PCM_U8")
    listed = b"LIST" + struct.pack("<I", 6) + b"INFOab"
    check_length(content + listed)
    check_length(content[:-1] + listed)  # a writer that does not fill odd chunks
    check_length(content + b"TAG" + bytes(125))
    with pytest.raises(BadAudioError, match="more follow"):
        check_length(content + content)


@pytest.mark.parametrize(("n_samples", "n_blocks"), [(4_500, 15), (5_000, 16), (6_000, 19)])
def test_the_byte_that_fills_an_odd_chunk_is_no_block_of_gsm(speech, encode, n_samples, n_blocks):
    content = encode(speech[:n_samples], "WAV", subtype="GSM610")
    assert wav_gsm_length(content) == 320 * n_blocks
    assert wav_gsm_length(content[:4] + b"\xff" * 4 + content[8:].replace(b"data", b"none")) is None


def test_nist_header(speech, encode):
    fields = nist_fields(encode(speech, "NIST"))
    assert (fields["sample_count"], fields["sample_rate"], fields["sample_coding"]) == ("161280", "16000", "pcm")
    assert nist_fields(b"RIFF") == {}
