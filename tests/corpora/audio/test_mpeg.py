"""Tests of MP3: counted frames, tags, joined and truncated streams."""

import numpy as np
import pytest

from lightning_mia.corpora.audio import BadAudioError
from lightning_mia.corpora.audio.decoding import decode_file
from lightning_mia.corpora.audio.mpeg import read_stream


def without_header(content: bytes) -> bytes:
    """Drop the first frame, which states the length."""
    return content[content.index(content[:2], 40) :]


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_length_equals_that_of_the_encoded_samples(speech, encode, rate, channels):
    stream = read_stream(encode(np.stack([speech] * channels, axis=1), "MP3", rate))
    assert stream.n_samples == len(speech)
    assert stream.frames is None


def test_without_an_encoders_header_all_frames_are_decoded(speech, encode, tmp_path):
    quiet_start = speech * np.where(np.arange(len(speech)) < 40_000, 1e-3, 1)  # misleads an estimate of the length
    whole, path = encode(quiet_start, "MP3"), tmp_path / "a.mp3"
    naked = without_header(whole)
    path.write_bytes(whole)
    expected = decode_file(str(path)).samples
    path.write_bytes(naked)
    decoded = decode_file(str(path)).samples
    n_frames = -(-len(speech) // 576) + 2
    assert len(decoded) == read_stream(naked).n_samples == 576 * n_frames
    delay = 576 + 529  # of the encoder and the decoder, which only the header states
    np.testing.assert_allclose(decoded[delay : delay + len(speech)], expected[: len(decoded) - delay], atol=1)


def test_tags_are_no_audio(speech, encode):
    content = encode(speech, "MP3")
    image = b"ID3\x04\0\0\0\0\x02\0" + bytes(256)
    ape = b"APETAGEX" + b"\xd0\x07\0\0" + (32).to_bytes(4, "little") + bytes(16)
    for tagged in (image + content, content + b"TAG" + bytes(125), content + ape, content + bytes(100)):
        assert read_stream(tagged).n_samples == len(speech)


def test_other_bytes_are_refused_by_position(speech, encode):
    content = encode(speech, "MP3")
    naked = without_header(content)
    cases = {
        content + content: f"at byte {len(content)}, another MP3 stream starts: split the file",
        content + b"junk" * 50: f"200 bytes follow 282 frames; at byte {len(content)}, no MPEG frame",
        content[:-50]: "truncated: the last frame",
        naked[:-50]: "truncated: the last frame",
        content[: len(content) - 144]: "truncated: the header announces 282 MPEG frames, 281 are present",
        b"junk" * 50: "no MPEG frame at byte 0",
    }
    for damaged, reason in cases.items():
        with pytest.raises(BadAudioError, match=reason):
            read_stream(damaged)
