import numpy as np
import pytest
import torch
from torch import Tensor

from lightning_mia.models.objectives.cluster_prediction import masked_cross_entropy


def draw_inputs(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Logits (2, 9, 5), targets and masks (2, 9)."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(2, 9, 5, generator=generator)
    targets = torch.randint(5, (2, 9), generator=generator)
    return logits, targets, torch.rand(2, 9, generator=generator) < 0.5


def test_masked_cross_entropy_equals_a_loop() -> None:
    logits, targets, masks = draw_inputs()
    losses = []
    for utterance in range(2):
        for frame in range(9):
            if masks[utterance, frame]:
                exponentials = np.exp(logits[utterance, frame].double().numpy())
                losses.append(-np.log(exponentials[targets[utterance, frame]] / exponentials.sum()))
    assert masked_cross_entropy(logits, targets, masks).item() == pytest.approx(np.mean(losses), rel=1e-5)
