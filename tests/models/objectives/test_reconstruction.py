import numpy as np
import pytest
import torch

from lightning_mia.models.objectives.reconstruction import Alteration, alter_frames, masked_error


@pytest.mark.parametrize("power", [1, 2])
def test_masked_error_equals_a_loop(power: int) -> None:
    generator = torch.Generator().manual_seed(0)
    guess, truth = torch.randn(2, 2, 6, 4, generator=generator)
    altered = torch.rand(2, 6, 4, generator=generator) < 0.3
    triples = zip(guess.flatten(), truth.flatten(), altered.flatten(), strict=True)
    errors = [abs(g - t) ** power for g, t, a in triples if a]
    assert masked_error(guess, truth, altered, power).item() == pytest.approx(np.mean(errors), rel=1e-5)


def test_masked_frames_are_zeroed_replaced_or_kept() -> None:
    torch.manual_seed(0)
    frames = torch.arange(1, 31).float().view(1, 30, 1).expand(2000, 30, 2)
    lengths = torch.full((2000,), 20)
    masks = torch.zeros(2000, 30, dtype=torch.bool)
    masks[:, 5:12] = True
    altered = alter_frames(frames, lengths, masks)
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
    bands = Alteration(max_masked_bands=16, noise_probability=0.0).bands(torch.zeros(3000, 5, 80))
    widths = bands.sum(dim=2).flatten()
    assert bands.shape == (3000, 1, 80)
    assert widths.unique().tolist() == list(range(17))
    edges = bands.int().diff(dim=2).abs().sum(dim=2)
    assert edges.max() <= 2
    assert bands[widths == 16].any(dim=(0, 1)).all()  # all bands, the lowest and the highest too


def test_noise_is_added_to_some_utterances() -> None:
    torch.manual_seed(0)
    noisy = Alteration(max_masked_bands=0, noise_probability=0.15).add_noise(torch.zeros(2000, 10, 4))
    touched = noisy.abs().sum(dim=(1, 2)) > 0
    assert touched.float().mean().item() == pytest.approx(0.15, abs=0.03)
    assert noisy[touched].std().item() == pytest.approx(0.2, abs=0.01)
