from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from lightning_mia.models.tera import TERA, masked_l1
from lightning_mia.utilities.errors import InputError

MakeBatch = Callable[..., tuple[Tensor, Tensor]]


def test_masked_l1_equals_a_loop() -> None:
    generator = torch.Generator().manual_seed(0)
    guess, truth = torch.randn(2, 2, 6, 4, generator=generator)
    altered = torch.rand(2, 6, 4, generator=generator) < 0.3
    errors = [abs(g - t) for g, t, a in zip(guess.flatten(), truth.flatten(), altered.flatten(), strict=True) if a]
    assert masked_l1(guess, truth, altered).item() == pytest.approx(np.mean(errors), rel=1e-5)


def test_score_is_the_negative_log_of_the_masked_error(make_batch: MakeBatch) -> None:
    model = TERA().eval()
    waveforms, lengths = make_batch(0.1, 0.6)
    with torch.no_grad():
        masks = model.draw_masks(waveforms, lengths)
        scores = model.pretext_score(waveforms, lengths, masks)
        assert scores.dtype == torch.float64
        frames = model._frames(waveforms, lengths)
        guess = model.head(model.encode(waveforms, lengths, masks).hidden[-1])
    for i in range(2):
        errors = [(guess[i, t] - frames[i, t]).abs().double().mean() for t in masks[i].nonzero()[:, 0]]
        assert scores[i].item() == pytest.approx(-np.log(np.mean(errors)), rel=1e-6)


def test_masked_frames_are_zeroed_replaced_or_kept() -> None:
    torch.manual_seed(0)
    frames = torch.arange(1, 31).float().view(1, 30, 1).expand(2000, 30, 2)
    lengths = torch.full((2000,), 400 + 160 * 19)  # 20 real frames
    masks = torch.zeros(2000, 30, dtype=torch.bool)
    masks[:, 5:12] = True
    altered = TERA(n_mels=2, max_masked_bands=0)._alter_frames(frames, lengths, masks)
    assert torch.equal(altered[~masks], frames[~masks])
    masked = altered[:, 5:12]
    zeroed = (masked == 0).all(dim=(1, 2))
    kept = (masked == frames[:, 5:12]).all(dim=(1, 2))
    assert zeroed.float().mean().item() == pytest.approx(0.8, abs=0.03)
    assert kept.float().mean().item() == pytest.approx(0.1 + 0.1 / 20, abs=0.03)  # moved by zero frames: kept
    assert masked[~zeroed].min() >= 1
    assert masked[~zeroed].max() <= 20  # from the same utterance's real frames


def test_bands_are_adjacent_and_at_most_as_many_as_set() -> None:
    torch.manual_seed(0)
    bands = TERA(max_masked_bands=16)._draw_bands(torch.zeros(3000, 5, 80))
    widths = bands.sum(dim=2).flatten()
    assert bands.shape == (3000, 1, 80)
    assert widths.unique().tolist() == list(range(17))
    edges = bands.int().diff(dim=2).abs().sum(dim=2)
    assert edges.max() <= 2
    assert bands[widths == 16].any(dim=(0, 1)).all()  # all bands, the lowest and the highest too


def test_noise_is_added_to_some_utterances() -> None:
    torch.manual_seed(0)
    noisy = TERA(noise_probability=0.15)._add_noise(torch.zeros(2000, 10, 4))
    touched = noisy.abs().sum(dim=(1, 2)) > 0
    assert touched.float().mean().item() == pytest.approx(0.15, abs=0.03)
    assert noisy[touched].std().item() == pytest.approx(0.2, abs=0.01)


def test_base_has_the_published_shape() -> None:
    with torch.device("meta"):
        model = TERA(n_layers=3, dim=768, n_heads=12, feedforward_dim=3072, pre_norm=False)
    blocks = 3 * (4 * 768 * 769 + 2 * 768 * 3072 + 3072 + 768 + 4 * 768)
    ends = 80 * 768 + 768 + 2 * 768 + 768 * 769 + 2 * 768 + 769 * 80
    assert sum(p.numel() for p in model.parameters()) == blocks + ends


def test_too_many_masked_bands_are_refused() -> None:
    with pytest.raises(InputError, match="max_masked_bands from 0 to n_mels = 40, but got 41"):
        TERA(n_mels=40, max_masked_bands=41)
