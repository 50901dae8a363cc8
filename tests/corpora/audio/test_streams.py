"""Tests of the ends of FLAC and Ogg streams."""

import numpy as np
import pytest

from lightning_mia.corpora.audio import BadAudioError
from lightning_mia.corpora.audio.decoding import decode_file
from lightning_mia.corpora.audio.streams import check_ogg, flac_length, flac_with_length


@pytest.mark.parametrize("subtype", ["PCM_S8", "PCM_16", "PCM_24"])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("n_samples", [100, 4096, 4097, 70_000])
def test_flac_is_counted_by_its_last_frame(speech, encode, subtype, channels, n_samples):
    content = encode(np.stack([speech[:n_samples]] * channels, axis=1), "FLAC", subtype=subtype)
    assert flac_length(content) == flac_length(content + b"TAG" + bytes(125)) == n_samples
    for damaged in (content[:-9], content[:-50], content + b"x"):
        with pytest.raises(BadAudioError, match="the last FLAC frame is incomplete, or other bytes follow it"):
            flac_length(damaged)


def test_flac_of_unknown_length_is_read_whole(speech, encode, tmp_path):
    content = encode(speech, "FLAC")
    streamed = flac_with_length(content, 0)
    assert streamed != content
    assert flac_with_length(streamed, len(speech)) == content
    path = tmp_path / "a.flac"
    path.write_bytes(content)
    expected = decode_file(str(path)).samples
    path.write_bytes(streamed)
    np.testing.assert_array_equal(decode_file(str(path)).samples, expected)


@pytest.mark.parametrize("options", [{}, {"subtype": "OPUS"}])
def test_ogg_is_one_complete_stream(speech, encode, options):
    content = encode(speech, "OGG", **options)
    check_ogg(content)
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    second_page, third_page = [n for n in range(len(content)) if content[n : n + 4] == b"OggS"][1:3]
    cases = {
        content + content: f"another Ogg stream starts at byte {len(content)}: split the file",
        content + b"x": "1 bytes follow the end of the Ogg stream",
        content[:-1]: "truncated",
        content[:third_page]: "truncated: the Ogg stream has no last page",
        content[:second_page] + content[third_page:]: "Ogg pages are missing before byte",
        bytes(flipped): "wrong checksum of the Ogg page",
    }
    for damaged, reason in cases.items():
        with pytest.raises(BadAudioError, match=reason):
            check_ogg(damaged)
