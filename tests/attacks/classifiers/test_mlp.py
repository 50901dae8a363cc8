from dataclasses import replace

import numpy as np
import pytest
import torch

from lightning_mia.attacks.classifiers.fit import Examples, FitSettings
from lightning_mia.attacks.classifiers.folds import TrainingFold
from lightning_mia.attacks.classifiers.mlp import FeatureNets, NetSettings, score_by_nets
from lightning_mia.evaluation.statistics.auroc import labelled_aurocs

FIT = FitSettings(learning_rate=0.03, epochs=40, batch_size=128, dropout=0.0)


def fold(seed: int, n_features: int = 30, effect: float = 1.0, curved: bool = False) -> tuple[TrainingFold, np.ndarray]:
    """Draw a fold whose last feature (curved: its magnitude) depends on the label, and the target's labels."""
    rng = np.random.default_rng(seed)

    def draw(n: int) -> tuple[np.ndarray, np.ndarray]:
        labels = rng.permutation(np.arange(n) % 2 == 1)
        features = 3 + 7 * rng.standard_normal((n, n_features)).astype(np.float32)
        shift = 7 * effect * labels
        features[:, -1] = 3 + (features[:, -1] - 3) * (1 + 2 * labels) if curved else features[:, -1] + shift
        return features, labels

    (features, labels), (left_out, left_out_labels), (target, members) = draw(600), draw(100), draw(400)
    return TrainingFold(features, labels, left_out, left_out_labels, target), members


def nets(folds: int = 2, candidates: int = 3, n_features: int = 5, hidden: int = 4) -> FeatureNets:
    torch.manual_seed(0)
    used = torch.rand(folds, candidates, n_features) < 0.6
    used[..., 0] = True
    made = FeatureNets(used, NetSettings(hidden=hidden), FIT)
    for weight in made.parameters():
        torch.nn.init.normal_(weight)
    return made


def test_logits_equal_those_of_single_nets() -> None:
    made, features = nets(), torch.randn(2, 7, 5)
    logits = made(features)
    for fold in range(2):
        for candidate in range(3):
            inputs = features[fold] * made.input_scale[fold, candidate]
            hidden = torch.relu(inputs @ made.inner[fold, candidate] + made.threshold[fold, candidate])
            single = inputs @ made.linear[fold, candidate] + hidden @ made.outer[fold, candidate] / 2
            torch.testing.assert_close(logits[fold, :, candidate], single + made.offset[fold, candidate])


def test_losses_are_cross_entropies_with_separate_gradients() -> None:
    made, labels = nets(), torch.randint(2, (2, 7)).float()
    batch = Examples(torch.randn(2, 7, 5), labels)
    losses = made.losses(batch)
    logits = made(batch.features)[1, :, 2]
    single = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels[1])
    torch.testing.assert_close(losses[1, 2], single)
    losses[1, 2].backward()
    for weight in made.parameters():
        moved = weight.grad.flatten(2).any(-1) if weight.dim() > 2 else weight.grad != 0
        assert moved[1, 2]
        moved[1, 2] = False
        assert not moved.any()


def test_candidate_ignores_unused_features() -> None:
    made, features = nets(), torch.randn(2, 7, 5)
    changed = features.clone()
    changed[..., 1:] += 100 * (~made.input_scale.bool().any(1))[:, None, 1:]
    torch.testing.assert_close(made(features), made(changed))


@pytest.mark.slow
@pytest.mark.parametrize("n_features", [1, 30])
def test_nets_learn_a_shift(n_features: int) -> None:
    planted, members = fold(0, n_features)
    scores = score_by_nets([planted, fold(1, n_features)[0]], NetSettings(), FIT, 0, "Fitting")
    assert labelled_aurocs(planted.target[:, -1], members[None])[0] > 0.7
    only_own = score_by_nets([planted], NetSettings(), FIT, 0, "Fitting")
    best = labelled_aurocs(planted.target[:, -1], members[None])[0]
    assert labelled_aurocs(only_own, members[None])[0] > best - 0.03
    assert scores.shape == (400,) and scores.dtype == np.float64 and np.isfinite(scores).all()


@pytest.mark.slow
def test_nets_learn_a_nonlinear_effect() -> None:
    planted, members = fold(0, n_features=3, curved=True)
    scores = score_by_nets([planted], NetSettings(shares=(1.0,)), FIT, 0, "Fitting")
    assert abs(labelled_aurocs(planted.target[:, -1], members[None])[0] - 0.5) < 0.1
    assert labelled_aurocs(scores, members[None])[0] > 0.75


def test_scores_average_independent_folds() -> None:
    """Two folds with opposite predictions cancel."""
    planted, members = fold(0, n_features=1)
    opposite = replace(planted, features=6 - planted.features, left_out=6 - planted.left_out)  # about their mean, 3
    both = score_by_nets([planted, opposite], NetSettings(shares=(1.0,)), FIT, 0, "Fitting")
    alone = score_by_nets([planted], NetSettings(shares=(1.0,)), FIT, 0, "Fitting")
    assert both.std() < 0.3 * alone.std()
    assert labelled_aurocs(alone, members[None])[0] > 0.7


@pytest.mark.slow
def test_seed_determines_scores_and_global_generator_is_restored() -> None:
    folds = [fold(0)[0], fold(1)[0]]
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first = score_by_nets(folds, NetSettings(), FIT, 3, "Fitting")
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(6)
    np.testing.assert_array_equal(score_by_nets(folds, NetSettings(), FIT, 3, "Fitting"), first)
    assert not np.array_equal(score_by_nets(folds, NetSettings(), FIT, 4, "Fitting"), first)


def test_constant_features_and_outliers_are_harmless() -> None:
    planted, members = fold(0, n_features=4)
    planted.features[:, 0] = planted.left_out[:, 0] = planted.target[:, 0] = 7.0
    planted.target[0, 1] = 1e9
    scores = score_by_nets([planted], NetSettings(), FIT, 0, "Fitting")
    assert np.isfinite(scores).all() and np.abs(scores).max() < 50
    assert labelled_aurocs(scores, members[None])[0] > 0.7
