"""Tests of decoding: widths, rates, channels, containers, unusable files."""

import os
import struct

import numpy as np
import pytest
import soundfile as sf

from lightning_mia.corpora.audio.decoding import BadAudioError, decode_file, resample

RATE = 16_000
CONTAINERS = {
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


def tone(seconds: float, rate: int = RATE, hertz: float = 440.0, level: float = 0.5) -> np.ndarray:
    return level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def noise(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-32768, 32768, n).astype(np.int16)


def write(path, data, rate=RATE, **options) -> str:
    sf.write(path, data, rate, **options)
    return str(path)


@pytest.mark.parametrize("suffix", ["wav", "flac", "aiff", "au", "caf", "w64"])
def test_16_bit_mono_at_16_khz_is_bit_exact(tmp_path, suffix):
    samples = noise(5000)
    decoded = decode_file(write(tmp_path / f"a.{suffix}", samples))
    np.testing.assert_array_equal(decoded.samples, samples)
    assert decoded.samples.dtype == np.int16
    assert (decoded.source_rate, decoded.source_channels) == (16_000, 1)
    assert (decoded.source_format, decoded.source_subtype) == (suffix.upper(), "PCM_16")


@pytest.mark.parametrize(
    ("subtype", "suffix", "error"),
    [
        ("PCM_U8", "wav", 256),
        ("PCM_S8", "flac", 256),
        ("PCM_24", "wav", 1),
        ("PCM_24", "flac", 1),
        ("PCM_32", "wav", 1),
        ("FLOAT", "wav", 1),
        ("DOUBLE", "wav", 1),
        ("ULAW", "wav", 700),
    ],
)
def test_other_widths_round_to_16_bits(tmp_path, subtype, suffix, error):
    decoded = decode_file(write(tmp_path / f"a.{suffix}", tone(0.5), subtype=subtype))
    assert np.abs(decoded.samples - tone(0.5) * 32768).max() <= error
    assert decoded.source_subtype == subtype


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000])
def test_other_rates_give_the_same_tone_at_16_khz(tmp_path, rate):
    decoded = decode_file(write(tmp_path / "a.wav", tone(1, rate), rate, subtype="FLOAT"))
    assert decoded.source_rate == rate
    assert len(decoded.samples) == 16_000
    middle = slice(500, -500)  # the filter sees silence beyond the ends
    np.testing.assert_allclose(decoded.samples[middle] / 32768, tone(1)[middle], atol=2e-4)


def test_frequencies_above_8_khz_are_removed():
    middle = slice(500, -500)
    for hertz in [8_200, 10_000, 15_000, 20_000]:
        high = resample(tone(1, 44_100, hertz).astype(np.float32), 44_100)[middle]
        assert np.abs(high).max() < 1e-4
    low = resample(tone(1, 44_100, 6_800).astype(np.float32), 44_100)[middle]
    np.testing.assert_allclose(low, tone(1, hertz=6_800)[middle], atol=2e-4)


def test_channels_are_averaged(tmp_path):
    left, right = noise(4000, 1) // 2, noise(4000, 2) // 2
    decoded = decode_file(write(tmp_path / "a.flac", np.stack([left, right], axis=1)))
    assert decoded.source_channels == 2
    np.testing.assert_allclose(decoded.samples, (left.astype(float) + right) / 2, atol=0.5)


def test_float_samples_are_clipped_not_scaled(tmp_path):
    decoded = decode_file(write(tmp_path / "a.wav", tone(0.5, level=2), subtype="FLOAT"))
    np.testing.assert_allclose(decoded.samples / 32768, np.clip(tone(0.5, level=2), -1, 1), atol=1e-4)


@pytest.mark.parametrize(("suffix", "subtype"), [("ogg", "VORBIS"), ("opus", "OPUS"), ("mp3", "MPEG_LAYER_III")])
def test_lossy_codecs(tmp_path, suffix, subtype):
    audio_format = {"ogg": "OGG", "opus": "OGG", "mp3": "MP3"}[suffix]
    decoded = decode_file(write(tmp_path / f"a.{suffix}", tone(1), format=audio_format, subtype=subtype))
    assert (decoded.source_format, decoded.source_subtype) == (audio_format, subtype)
    assert len(decoded.samples) == 16_000
    assert np.corrcoef(decoded.samples[2000:-2000], tone(1)[2000:-2000])[0, 1] > 0.99


def test_a_tenth_of_a_second_is_long_enough(tmp_path):
    assert len(decode_file(write(tmp_path / "a.wav", noise(1600))).samples) == 1600
    assert len(decode_file(write(tmp_path / "b.wav", noise(4410), 44_100)).samples) == 1600


def test_unusable_samples(tmp_path):
    non_finite = tone(0.5)
    non_finite[[7, 9]] = [np.nan, np.inf]
    cases = {
        write(tmp_path / "silent.wav", np.zeros(5000)): "silent",
        write(tmp_path / "faint.wav", tone(0.5, level=1e-6), subtype="FLOAT"): "silent",
        write(tmp_path / "short.wav", noise(1599)): "1599 samples at 16000 Hz: 0.099937 s long, shorter than 0.1 s",
        write(tmp_path / "none.wav", noise(0)): "no samples",
        write(tmp_path / "phase.wav", np.stack([tone(1), -tone(1)], axis=1)): "its 2 channels cancel when averaged",
        write(tmp_path / "integers.wav", tone(1, level=12_000), subtype="FLOAT"): "float samples up to 12000",
        write(tmp_path / "non_finite.wav", non_finite, subtype="FLOAT"): "2 samples are not finite",
    }
    for path, reason in cases.items():
        with pytest.raises(BadAudioError, match=reason):
            decode_file(path)


def test_unusable_files(tmp_path):
    (tmp_path / "empty.wav").touch()
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "text.flac").write_text("fLaC, or so it says " * 100)
    (tmp_path / "a.raw").write_bytes(noise(5000).tobytes())
    (tmp_path / "lfs.wav").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    (tmp_path / "annex.wav").write_text("/annex/objects/SHA256E-s9--0.wav\n")
    (tmp_path / "link.wav").symlink_to("elsewhere.wav")
    for rate in (999, 768_001):
        write(tmp_path / f"{rate}.wav", noise(5000), rate)
    shorten = (tmp_path / "a.sph", "sample_coding -s26 pcm,embedded-shorten-v2.00")
    sf.write(shorten[0], noise(5000), RATE, format="NIST")
    shorten[0].write_bytes(shorten[0].read_bytes().replace(b"sample_coding -s3 pcm", shorten[1].encode()))
    reasons = {
        "nope.wav": "no such file",
        "empty.wav": "empty file",
        "folder.wav": "not a file",
        "text.flac": "not readable as audio",
        "a.raw": "headerless",
        "lfs.wav": "a Git LFS pointer, not the recording; run git lfs pull",
        "annex.wav": "a git-annex pointer",
        "link.wav": "a link to elsewhere.wav, which does not exist",
        "999.wav": "a sampling rate of 999 Hz, outside 1–768 kHz",
        "768001.wav": "a sampling rate of 768001 Hz",
        "a.sph": "embedded-shorten compression; convert it with sph2pipe -f wav a.sph OUT.wav",
    }
    for name, reason in reasons.items():
        with pytest.raises(BadAudioError, match=reason):
            decode_file(str(tmp_path / name))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_file_without_permission(tmp_path):
    path = write(tmp_path / "a.wav", noise(5000))
    os.chmod(path, 0)
    with pytest.raises(BadAudioError, match="permission denied"):
        decode_file(path)


def speechlike(n: int) -> np.ndarray:
    noise = np.random.default_rng(0).normal(size=n)
    return 0.3 * np.convolve(noise, np.ones(20) / 20, "same")


@pytest.mark.parametrize("suffix", CONTAINERS)
@pytest.mark.parametrize("share", [0.3, 0.95])
def test_truncated_files_are_rejected_and_complete_ones_accepted(tmp_path, suffix, share):
    path = str(tmp_path / f"a.{suffix}")
    sf.write(path, speechlike(64_000), 16_000, **CONTAINERS[suffix])
    assert len(decode_file(path).samples) == 64_000
    os.truncate(path, int(os.path.getsize(path) * share))
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


@pytest.mark.parametrize(
    ("audio_format", "subtype", "rate"),
    [
        ("WAV", "GSM610", 8_000),
        ("AIFF", "GSM610", 8_000),
        ("WAV", "G721_32", 16_000),
        ("AU", "G723_24", 16_000),
        ("AU", "G723_40", 16_000),
        ("WAV", "IMA_ADPCM", 16_000),
        ("WAV", "MS_ADPCM", 16_000),
        ("WAV", "NMS_ADPCM_32", 8_000),
    ],
)
def test_telephone_codecs_without_seeking(tmp_path, audio_format, subtype, rate):
    n_samples = rate
    path = write(tmp_path / "a.bin", tone(1, rate), rate, format=audio_format, subtype=subtype)
    decoded = decode_file(path)
    block = 512  # codecs fill the last block
    assert n_samples <= len(decoded.samples) * rate / 16_000 <= n_samples + block
    assert np.corrcoef(decoded.samples[2000:14_000], tone(1)[2000:14_000])[0, 1] > 0.95
    assert decoded.source_subtype == subtype


def test_names_that_are_not_utf_8(tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.wav")
    with open(path, "wb") as file:
        sf.write(file, noise(5000), RATE, format="WAV")
    np.testing.assert_array_equal(decode_file(path).samples, noise(5000))


def test_clipped_samples_are_counted(tmp_path):
    loud = tone(1, level=0.5)
    loud[[10, 20, 30]] = [1.2, -1.2, 1.0]
    assert decode_file(write(tmp_path / "a.wav", loud, subtype="FLOAT")).n_clipped == 2
    assert decode_file(write(tmp_path / "b.wav", noise(5000))).n_clipped == 0
