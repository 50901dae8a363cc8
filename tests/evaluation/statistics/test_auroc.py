import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from lightning_mia.evaluation.statistics.auroc import auroc, labelled_aurocs
from lightning_mia.evaluation.statistics.roc import aurocs_and_advantages

VALUES = {
    "continuous": lambda g, n: g.normal(size=n),
    "ties": lambda g, n: g.integers(5, size=n).astype(float),
    "all tied": lambda g, n: np.zeros(n),
    "near 100, where a sigmoid would tie them": lambda g, n: 100 + g.normal(size=n),
    "tiny differences, below float32": lambda g, n: 1 + 1e-12 * g.integers(1000, size=n),
    "huge": lambda g, n: 1e300 * g.normal(size=n),
}


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("n", [2, 7, 1000, 100_000])
def test_both_forms_agree_with_scikit_learn(kind: str, n: int) -> None:
    generator = np.random.default_rng(n)
    values = VALUES[kind](generator, n)
    members = generator.permutation(np.arange(n) < max(1, n // 3))
    expected = roc_auc_score(members, values)
    assert auroc(values, members) == pytest.approx(expected, abs=1e-12)
    assert labelled_aurocs(values, members[None])[0] == pytest.approx(expected, abs=1e-12)
    assert aurocs_and_advantages(values[None], members[None])[0][0] == pytest.approx(expected, abs=1e-12)


def test_auroc_is_the_share_of_pairs_won_by_the_member() -> None:
    values, members = np.array([1.0, 2.0, 2.0, 3.0, 0.5]), np.array([True, True, False, False, False])
    wins = [(m > k) + 0.5 * (m == k) for m in values[members] for k in values[~members]]
    assert auroc(values, members) == pytest.approx(np.mean(wins), abs=1e-15)


def test_chunks_of_labellings_equal_single_labellings(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    values, labels = generator.integers(9, size=30).astype(float), generator.random((50, 30)) < 0.5
    expected = [roc_auc_score(row, values) for row in labels]
    monkeypatch.setattr("lightning_mia.evaluation.statistics.auroc.CHUNK", 200)
    np.testing.assert_allclose(labelled_aurocs(values, labels), expected, atol=1e-12)


def test_several_attacks_at_once_equal_single_attacks() -> None:
    generator = np.random.default_rng(1)
    values, labels = generator.integers(9, size=(3, 40)).astype(float), generator.random((60, 40)) < 0.5
    np.testing.assert_array_equal(labelled_aurocs(values, labels), [labelled_aurocs(row, labels) for row in values])


def test_a_labelling_without_members_is_at_chance() -> None:
    labels = np.array([[True, True], [False, False], [False, True]])
    assert labelled_aurocs(np.array([1.0, 2.0]), labels).tolist() == [0.5, 0.5, 1.0]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_values_are_rejected(bad: float) -> None:
    with pytest.raises(ValueError, match="1 of 3 are not"):
        auroc(np.array([0.0, bad, 1.0]), np.array([True, False, False]))


@pytest.mark.parametrize("members", [[True, True], [False, False]])
def test_missing_members_or_non_members_are_rejected(members: list[bool]) -> None:
    with pytest.raises(ValueError, match="members and non-members"):
        auroc(np.array([0.0, 1.0]), np.array(members))


def test_the_default_dtype_of_torch_is_unchanged() -> None:
    auroc(np.array([0.0, 1.0]), np.array([True, False]))
    assert torch.get_default_dtype() == torch.float32
