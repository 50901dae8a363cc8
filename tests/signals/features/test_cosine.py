import pytest
import torch

from lightning_mia.signals.features.cosine import mean_pairwise_cosine, mean_pool


def slow_mean_pairwise_cosine(vectors: torch.Tensor) -> float:
    n = len(vectors)
    pairs = [torch.nn.functional.cosine_similarity(vectors[i], vectors[j], dim=0) for i in range(n) for j in range(i)]
    return float(torch.stack(pairs).mean())


@pytest.mark.parametrize("n", [2, 3, 17])
def test_closed_form_equals_the_double_loop(n: int) -> None:
    vectors = torch.randn(1, n, 5, generator=torch.Generator().manual_seed(n), dtype=torch.float64)
    assert mean_pairwise_cosine(vectors, torch.tensor([n])).item() == pytest.approx(
        slow_mean_pairwise_cosine(vectors[0]), abs=1e-12
    )


def test_padding_is_not_looked_at() -> None:
    vectors = torch.randn(2, 9, 4)
    padded = torch.cat([vectors, torch.full((2, 5, 4), 1e6)], dim=1)
    lengths = torch.tensor([9, 6])
    assert torch.equal(mean_pairwise_cosine(padded, lengths), mean_pairwise_cosine(vectors, lengths))
    assert torch.allclose(mean_pool(padded, lengths)[1], vectors[1, :6].double().mean(0))


def test_a_zero_vector_is_orthogonal_to_all() -> None:
    vectors = torch.tensor([[[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]]])
    assert mean_pairwise_cosine(vectors, torch.tensor([3])).item() == pytest.approx(1 / 3)


def test_almost_equal_vectors_keep_their_digits() -> None:
    vectors = torch.ones(1, 3, 100) + 1e-4 * torch.randn(1, 3, 100, generator=torch.Generator().manual_seed(0))
    expected = slow_mean_pairwise_cosine(vectors[0].double())
    assert 1 - mean_pairwise_cosine(vectors, torch.tensor([3])).item() == pytest.approx(1 - expected, rel=1e-6)
