from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torchaudio.functional import compute_deltas, create_dct
from torchaudio.transforms import MelSpectrogram

from lightning_mia.models.layers.features import MFCC, POWER_FLOOR, LogMel, normalise

MakeBatch = Callable[..., tuple[Tensor, Tensor]]


@pytest.mark.parametrize("n_mels", [40, 80])
def test_log_mel_equals_torchaudio(make_batch: MakeBatch, n_mels: int) -> None:
    waveforms, _ = make_batch(0.1, 0.7)
    expected = MelSpectrogram(16_000, n_fft=400, hop_length=160, f_min=20.0, n_mels=n_mels, center=False)(waveforms)
    log_mel = LogMel(n_mels)(waveforms)
    torch.testing.assert_close(log_mel, (expected + POWER_FLOOR).log().transpose(1, 2), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("samples", "frames"), [(400, 1), (559, 1), (560, 2), (1600, 8)])
def test_frames_need_all_their_samples(samples: int, frames: int) -> None:
    assert LogMel(40)(torch.zeros(1, samples)).shape == (1, frames, 40)
    assert LogMel.frame_lengths(torch.tensor(samples)) == frames


def test_no_mel_filter_is_empty() -> None:
    for n_mels in (40, 80):
        assert (LogMel(n_mels).filters.sum(dim=0) > 0).all()


def test_digital_silence_is_finite() -> None:
    frames = LogMel(40)(torch.zeros(1, 1600))
    assert frames.isfinite().all()
    assert normalise(frames, torch.tensor([8])).abs().max() == 0


def test_normalise_equals_numpy_on_the_real_frames() -> None:
    x = torch.randn(2, 50, 3, generator=torch.Generator().manual_seed(0)) * 5 + 100
    normal = normalise(x, torch.tensor([50, 20]))
    for row, out, n in zip(x.double().numpy(), normal.numpy(), (50, 20), strict=True):
        expected = (row[:n] - row[:n].mean(axis=0)) / row[:n].std(axis=0)
        np.testing.assert_allclose(out[:n], expected, rtol=1e-4, atol=1e-5)
        assert not out[n:].any()


def test_mfcc_equals_torchaudio_away_from_the_ends(make_batch: MakeBatch) -> None:
    waveforms, lengths = make_batch(0.8)
    log_mel = LogMel(40)(waveforms)
    cepstra = (log_mel @ create_dct(13, 40, norm="ortho")).transpose(1, 2)  # (1, 13, frames)
    slope = compute_deltas(cepstra)
    expected = torch.cat([cepstra, slope, compute_deltas(slope)], dim=1).transpose(1, 2)[:, ::2]
    mfcc = MFCC(40)(log_mel, LogMel.frame_lengths(lengths))
    assert mfcc.shape == expected.shape == (1, 39, 39)  # 78 frames of 10 ms, every second; 13 × 3 numbers
    torch.testing.assert_close(mfcc[:, 2:-2], expected[:, 2:-2], rtol=1e-4, atol=1e-4)


def test_mfcc_repeats_the_first_and_last_real_frame(make_batch: MakeBatch) -> None:
    waveforms, lengths = make_batch(0.1, 0.9)
    log_mel, frames = LogMel(40)(waveforms), LogMel.frame_lengths(lengths)
    together = MFCC(40)(log_mel, frames)
    for i, n in enumerate(frames.tolist()):
        held = torch.cat([log_mel[i, :1].expand(4, -1), log_mel[i, :n], log_mel[i, n - 1 : n].expand(4, -1)])
        slow = MFCC(40)(held[None], torch.tensor([n + 8]))[0, 2:-2]  # held by hand
        torch.testing.assert_close(together[i, : (n + 1) // 2], slow, rtol=1e-5, atol=1e-5)
