import numpy as np
import pytest
import torch
from scipy.stats import skew
from torch import Tensor

from lightning_mia.signals.features.frame_statistics import (
    QUANTILES,
    cloud_statistics,
    norm_statistics,
    pair_statistics,
    quantiles,
    smoothness,
    subsample,
    without_rounding,
)

JUNK = 1e6  # stands beyond an utterance's end
LENGTHS = [1, 2, 7, 40]


@pytest.fixture
def frames() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.standard_normal((length, 5)) + 1 for length in LENGTHS]


def padded(frames: list[np.ndarray]) -> tuple[Tensor, Tensor]:
    lengths = torch.tensor([len(vectors) for vectors in frames])
    hidden = torch.full((len(frames), int(lengths.max()) + 3, frames[0].shape[1]), JUNK, dtype=torch.float64)
    for row, vectors in zip(hidden, frames, strict=True):
        row[: len(vectors)] = torch.from_numpy(vectors)
    return hidden, lengths


def cosine(x: np.ndarray, y: np.ndarray) -> float:
    return float(x @ y / np.linalg.norm(x) / np.linalg.norm(y))


def slow(frames: np.ndarray) -> dict[str, float]:
    """All statistics of one utterance with two frames or more, by loops over pairs."""
    n = len(frames)
    pairs = np.array([cosine(frames[i], frames[j]) for i in range(n) for j in range(i)])
    norms = np.array([np.linalg.norm(frame) for frame in frames])
    after = np.array([cosine(frames[i], frames[i + 1]) for i in range(n - 1)])
    covariance = np.cov(frames.T, bias=True)
    eigenvalues = np.linalg.eigvalsh(covariance)
    return {
        "cos_sd": pairs.std(),
        "cos_skewness": skew(pairs) if n > 2 else 0.0,
        **{f"cos_q{round(100 * q):02d}": np.quantile(pairs, q) for q in QUANTILES},
        "norm_mean": norms.mean(),
        "norm_sd": norms.std(),
        **{f"norm_q{round(100 * q):02d}": np.quantile(norms, q) for q in QUANTILES},
        "next_cos_mean": after.mean(),
        "next_cos_sd": after.std(),
        "step_mean": np.mean([np.linalg.norm(frames[i + 1] - frames[i]) for i in range(n - 1)]),
        "mean_norm": np.linalg.norm(frames.mean(axis=0)),
        "mean_share": np.square(frames.mean(axis=0)).sum() / np.square(norms).mean(),
        "directions": eigenvalues.sum() ** 2 / np.square(eigenvalues).sum(),
    }


def fast(hidden: Tensor, lengths: Tensor) -> dict[str, Tensor]:
    result: dict[str, Tensor] = {}
    for statistics in (pair_statistics, norm_statistics, smoothness, cloud_statistics):
        result |= statistics(hidden, lengths)
    return result


def test_statistics_equal_a_slow_version_with_any_padding(frames: list[np.ndarray]) -> None:
    result = fast(*padded(frames))
    assert set(result) == set(slow(frames[2]))
    for row, vectors in enumerate(frames[1:], start=1):
        for name, value in slow(vectors).items():
            assert result[name].dtype == torch.float64
            assert result[name][row].item() == pytest.approx(value, rel=1e-10, abs=1e-10), (name, len(vectors))


def test_a_single_frame_has_no_pairs_and_no_spread(frames: list[np.ndarray]) -> None:
    result = {name: values[0].item() for name, values in fast(*padded(frames)).items()}
    assert all(np.isfinite(value) for value in result.values())
    assert {result[name] for name in ("cos_sd", "cos_q50", "norm_sd", "step_mean", "directions")} == {0}
    assert result["norm_mean"] == result["norm_q05"] == pytest.approx(np.linalg.norm(frames[0][0]))


def test_a_batch_of_single_frames() -> None:
    result = fast(torch.ones(2, 1, 4), torch.tensor([1, 1]))
    assert all(values.isfinite().all() and values.shape == (2,) for values in result.values())


def test_zero_frames_and_identical_frames() -> None:
    hidden = torch.zeros(2, 5, 3)
    hidden[1] = torch.tensor([1.0, 2.0, 2.0])
    result = fast(hidden, torch.tensor([5, 5]))
    assert all(values.isfinite().all() for values in result.values())
    assert result["cos_q50"].tolist() == pytest.approx([0, 1])
    assert result["norm_mean"].tolist() == pytest.approx([0, 3])
    assert result["mean_share"].tolist() == pytest.approx([0, 1])


@pytest.mark.parametrize(
    ("length", "expected"), [(5, range(5)), (8, range(8)), (9, range(0, 9, 2)), (30, range(0, 30, 4))]
)
def test_long_utterances_are_subsampled_evenly(length: int, expected: range) -> None:
    hidden = torch.arange(100.0).view(1, 100, 1).repeat(2, 1, 1)
    picked, lengths = subsample(hidden, torch.tensor([length, 100]), max_frames=8)
    assert picked[0, : lengths[0], 0].tolist() == list(expected)
    assert lengths[1] == 8 and picked[1, :, 0].tolist() == list(range(0, 100, 13))


def test_subsampled_statistics_do_not_depend_on_the_batch(frames: list[np.ndarray]) -> None:
    together = pair_statistics(*padded(frames), max_frames=6)
    for row, vectors in enumerate(frames):
        alone = pair_statistics(*padded([vectors]), max_frames=6)
        for name, values in alone.items():
            torch.testing.assert_close(together[name][row : row + 1], values, rtol=1e-12, atol=1e-12)


def test_quantiles_equal_those_of_numpy_row_by_row() -> None:
    rng = np.random.default_rng(1)
    values, real = rng.standard_normal((6, 9)), rng.random((6, 9)) < 0.6
    real[0], real[1, 1:] = True, False
    real[1, 0] = True
    levels = (0.0, 0.1, 0.5, 0.77, 1.0)
    result = quantiles(torch.from_numpy(values), torch.from_numpy(real), levels)
    for row in range(6):
        np.testing.assert_allclose(result[row].numpy(), np.quantile(values[row][real[row]], levels))
    empty = quantiles(torch.ones(1, 3).double(), torch.zeros(1, 3, dtype=torch.bool), levels)
    assert empty.tolist() == [[0.0] * 5]


def test_norms_behind_a_layer_norm_do_not_show_rounding() -> None:
    hidden = torch.nn.functional.layer_norm(torch.randn(3, 50, 32), (32,))
    lengths = torch.tensor([50, 40, 30])
    statistics = norm_statistics(hidden, lengths)
    rounded = norm_statistics(hidden * (1 + 1e-6 * torch.rand(3, 50, 1)), lengths)
    for name, values in statistics.items():
        assert torch.equal(values, rounded[name])
        assert torch.allclose(values, torch.full_like(values, 0.0 if name == "norm_sd" else 32**0.5))


def test_ordinary_norms_stay_as_they_are() -> None:
    hidden, lengths = 3 * torch.randn(3, 50, 32), torch.tensor([50, 40, 30])  # norms far from that of layer norm
    norms = hidden[1, :40].double().norm(dim=1)
    statistics = norm_statistics(hidden, lengths)
    assert statistics["norm_mean"][1] == pytest.approx(norms.mean().item(), rel=1e-12)
    assert statistics["norm_q95"][1] == pytest.approx(norms.quantile(0.95).item(), rel=1e-12)


def test_cosines_of_equal_frames_do_not_show_rounding() -> None:
    cosines = torch.tensor([1 - 1e-14, 1 - 3e-13, 1 + 2e-16, 1 - 1e-6, 0.3], dtype=torch.float64)
    settled = without_rounding(cosines, 1.0, 1e-9)
    assert settled[:3].tolist() == [1.0] * 3
    assert settled[3:].tolist() == pytest.approx(cosines[3:].tolist(), abs=1e-11)
