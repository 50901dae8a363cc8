from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from lightning_mia.models.tera import TERA
from lightning_mia.utilities.errors import InputError

MakeBatch = Callable[..., tuple[Tensor, Tensor]]


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


def test_base_has_the_published_shape() -> None:
    with torch.device("meta"):
        model = TERA(n_layers=3, dim=768, n_heads=12, feedforward_dim=3072, pre_norm=False)
    blocks = 3 * (4 * 768 * 769 + 2 * 768 * 3072 + 3072 + 768 + 4 * 768)
    ends = 80 * 768 + 768 + 2 * 768 + 768 * 769 + 2 * 768 + 769 * 80
    assert sum(p.numel() for p in model.parameters()) == blocks + ends


def test_too_many_masked_bands_are_refused() -> None:
    with pytest.raises(InputError, match="max_masked_bands from 0 to n_mels = 40, but got 41"):
        TERA(n_mels=40, max_masked_bands=41)
