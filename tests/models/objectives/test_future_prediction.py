import numpy as np
import pytest
import torch

from lightning_mia.models.objectives.future_prediction import (
    draw_batch_negatives,
    draw_other_frames,
    draw_windows,
    frame_variation,
    prediction_chance,
)


def test_other_frames_are_uniform_and_exclude_the_frame_itself() -> None:
    lengths = torch.tensor([6, 9])
    noise = torch.rand(2, 11, 4000, generator=torch.Generator().manual_seed(0))
    noise[:, :, 0] = 1 - 2**-24  # the highest that there is
    drawn = draw_other_frames(noise, lengths)
    for utterance, n in enumerate(lengths.tolist()):
        for frame in range(n):
            counts = torch.bincount(drawn[utterance, frame], minlength=n)
            assert len(counts) == n
            assert counts[frame] == 0
            assert counts.sum() == 4000
            others = torch.cat([counts[:frame], counts[frame + 1 :]]) / 4000
            assert (others - 1 / (n - 1)).abs().max() < 0.04
    assert torch.equal(draw_other_frames(noise[:, :9], lengths), drawn[:, :9])  # padding changes nothing


def test_batch_negatives_are_real_frames_and_exclude_the_frame_itself() -> None:
    torch.manual_seed(0)
    lengths = torch.tensor([3, 5, 2])
    latents = torch.full((3, 6, 2), -1.0)
    for utterance, n in enumerate(lengths.tolist()):
        latents[utterance, :n] = torch.tensor([[utterance, frame] for frame in range(n)]).float()
    seen: dict[tuple[float, ...], int] = {}
    for _ in range(300):
        candidates, indices = draw_batch_negatives(latents, lengths, 4)
        assert torch.equal(candidates[:, :6], latents)
        for utterance, n in enumerate(lengths.tolist()):
            for frame in range(n):
                for x in candidates[utterance, indices[utterance, frame]].tolist():
                    assert x != [utterance, frame]
                    if utterance == 0:
                        seen[tuple(x)] = seen.get(tuple(x), 0) + 1
    assert len(seen) == 10  # every real frame and no other
    foreign = [count for (owner, _), count in seen.items() if owner]
    assert max(foreign) < 1.4 * min(foreign)


def test_windows_are_excerpts() -> None:
    torch.manual_seed(0)
    lengths = torch.tensor([7, 3, 5])
    waveforms = torch.arange(1.0, 11).expand(3, 10) * (torch.arange(10) < lengths.unsqueeze(1))
    starts = set()
    for _ in range(60):
        windows, sizes = draw_windows(waveforms, lengths, 5)
        assert sizes.tolist() == [5, 3, 5]
        assert windows[1].tolist() == [1, 2, 3, 0, 0]
        assert windows[2].tolist() == [1, 2, 3, 4, 5]
        assert windows[0].diff().tolist() == [1, 1, 1, 1]
        starts.add(windows[0, 0].item())
    assert starts == {1, 2, 3}
    windows, sizes = draw_windows(waveforms, lengths, 100)
    assert torch.equal(windows, waveforms)
    assert torch.equal(sizes, lengths)


@pytest.mark.parametrize("negatives", ["utterance", "batch"])
def test_chance_equals_the_accuracy_of_guessing(negatives: str) -> None:
    lengths = torch.tensor([8, 30])
    generator = np.random.default_rng(0)
    hits = []
    for _ in range(4000):
        for n in lengths.tolist():
            others = n - 1 if negatives == "utterance" else int(lengths.sum()) - 1
            different = len(set(generator.integers(others, size=20)))
            hits.append(generator.random() < 1 / (1 + different))
    n_others = (lengths if negatives == "utterance" else lengths.sum()) - 1.0
    assert prediction_chance(n_others, 20).item() == pytest.approx(np.mean(hits), rel=0.1)


def test_constant_frames_have_no_variation() -> None:
    frame = torch.rand(2, 1, 4)
    constant = frame.expand(2, 6, 4).clone()
    constant[0, 3:] = 9.0  # padding
    lengths = torch.tensor([3, 6])
    assert frame_variation(constant, lengths).item() < 1e-6
    assert frame_variation(torch.zeros(2, 6, 4), lengths).item() == 0
    moving = torch.tensor([[[1.0], [-1.0], [1.0], [-1.0]]])
    assert frame_variation(moving, torch.tensor([4])).item() == pytest.approx(1.0)
