import numpy as np
import pytest
import torch
from torch import Tensor

from lightning_mia.models.objectives.log_odds import log_odds, log_odds_of_mean, log_probability


def probability(logits: Tensor, target: int) -> float:
    exponentials = np.exp(logits.double().numpy())
    return float(exponentials[target] / exponentials.sum())


def test_log_probability_equals_the_softmax() -> None:
    logits = 3 * torch.randn(7, 5, generator=torch.Generator().manual_seed(0))
    log_p = log_probability(logits[:, 0], logits[:, 1:])
    assert log_p.dtype == torch.float64
    for row, of_row in zip(logits, log_p, strict=True):
        assert of_row.item() == pytest.approx(np.log(probability(row, 0)), rel=1e-9)


def test_log_odds_of_the_mean_equal_a_loop() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(2, 9, 5, generator=generator)
    targets = torch.randint(5, (2, 9), generator=generator)
    masks = torch.rand(2, 9, generator=generator) < 0.5
    scores = log_odds_of_mean(logits, targets, masks)
    assert scores.dtype == torch.float64
    for utterance in range(2):
        frames = masks[utterance].nonzero()[:, 0]
        probabilities = [probability(logits[utterance, t], int(targets[utterance, t])) for t in frames]
        mean = np.prod(probabilities) ** (1 / len(probabilities))
        assert scores[utterance].item() == pytest.approx(np.log(mean) - np.log(1 - mean), rel=1e-9)


@pytest.mark.parametrize("margin", [200.0, -200.0])
def test_log_odds_neither_overflow_nor_saturate(margin: float) -> None:
    true, others = torch.tensor([margin]), torch.zeros(1, 1)
    assert log_odds(log_probability(true, others)).item() == pytest.approx(margin)
    logits = torch.tensor([[[margin, 0.0], [margin, 0.0]]])
    scores = log_odds_of_mean(logits, torch.zeros(1, 2, dtype=torch.long), torch.ones(1, 2, dtype=torch.bool))
    assert scores.item() == pytest.approx(margin)
