from collections.abc import Callable

import pytest
import torch

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.models.base import SpeechModel
from lightning_mia.signals.inputs.augmentations import apply_view
from lightning_mia.signals.inputs.random_masks import draw_masks
from lightning_mia.signals.perturbed_pretext import PerturbedTask
from lightning_mia.utilities.errors import InputError

Speech = Callable[..., Batch]


def test_columns_are_differences_under_the_same_masks(speech: Speech, tera: SpeechModel) -> None:
    group, batch = PerturbedTask(n_masks=2, seed=6), speech(0.3, 0.8)
    frames = tera.frame_lengths(batch.lengths).tolist()
    masks = [draw_masks(batch.ids, frames, tera.mask_span, draw, seed=6) for draw in range(2)]

    def score(scored: Batch) -> torch.Tensor:
        scores = [tera.pretext_score(scored.waveforms, scored.lengths, mask) for mask in masks]
        return torch.stack(scores).mean(dim=0)

    with torch.inference_mode():
        scalars = group.measure(tera, batch).scalars
        assert list(scalars) == [f"perturbed_pretext_score_{view.name}" for view in group.views]
        for view in group.views:
            expected = score(apply_view(batch, view, 0, seed=6)) - score(batch)
            torch.testing.assert_close(scalars[f"perturbed_pretext_score_{view.name}"], expected)
            assert expected.abs().min() > 1e-6


def test_no_masks_are_refused() -> None:
    with pytest.raises(InputError, match=r"PerturbedTask\.n_masks is 0"):
        PerturbedTask(n_masks=0)
