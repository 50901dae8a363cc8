import math

import numpy as np
import pytest
from scipy.stats import norm

from lightning_mia.evaluation.one_run import one_run_bound
from lightning_mia.evaluation.privacy import (
    epsilon_lower_bound,
    gaussian_epsilon,
    lower_bounds,
    strongest_lower_bound,
)
from lightning_mia.evaluation.scores import Scores


@pytest.mark.parametrize(("noise", "steps"), [(0.5, 1), (1.0, 10), (4.0, 100), (20.0, 3)])
@pytest.mark.parametrize("delta", [1e-3, 1e-5])
def test_epsilon_solves_the_best_test_between_two_gaussians(noise: float, steps: int, delta: float) -> None:
    """Compare δ with the maximum of TPR − e^ε FPR."""
    epsilon = gaussian_epsilon(noise, steps, delta)
    mu = math.sqrt(steps) / noise
    threshold = np.linspace(-10, 10 + 12 * mu, 400_001)
    excess = norm.sf(threshold - mu) - np.exp(epsilon + norm.logsf(threshold))
    assert excess.max() == pytest.approx(delta, rel=1e-3)


def test_more_noise_and_fewer_steps_give_a_smaller_epsilon() -> None:
    epsilons = [gaussian_epsilon(noise, 30, 1e-5) for noise in (0.5, 1.0, 2.0, 50.0, 1e6)]
    assert epsilons == sorted(epsilons, reverse=True)
    assert epsilons[-1] == 0.0  # δ alone covers it
    assert gaussian_epsilon(1.0, 0, 1e-5) == 0.0


def make_scores(members: np.ndarray, others: np.ndarray, name: str = "attack", draw: int = 0) -> Scores:
    values = np.concatenate([members, others])
    ids = np.array([f"{draw}/{number}" for number in range(len(values))])
    labels = np.arange(len(values)) < len(members)
    return Scores(name, "utterance", "grey-box", False, ids, ids, labels, values)


def test_a_perfect_attack_is_limited_by_its_size() -> None:
    scores = make_scores(np.ones(500), np.zeros(500))
    bound = epsilon_lower_bound(scores, 1e-5)
    # About 250 members and non-members, none misclassified: at 97.5 %, FPR is at most 3.7 / n.
    assert 3.5 < bound < math.log(250 / 3.5)
    assert epsilon_lower_bound(scores, 0.999) == 0.0  # δ explains every hit


def test_the_bound_covers_randomised_response() -> None:
    """Answer truly with probability e^ε / (1 + e^ε)."""
    epsilon, rng = 1.5, np.random.default_rng(0)
    truth = math.exp(epsilon) / (1 + math.exp(epsilon))
    bounds = [
        epsilon_lower_bound(
            make_scores((rng.random(400) < truth) * 1.0, (rng.random(400) >= truth) * 1.0, draw=draw), 0.0
        )
        for draw in range(200)
    ]
    assert np.mean(np.array(bounds) > epsilon) <= 0.05
    assert np.median(bounds) > 0.9


def test_noise_gives_no_bound_and_several_attacks_lower_it() -> None:
    rng = np.random.default_rng(1)
    noise = make_scores(rng.normal(size=300), rng.normal(size=300), "noise")
    assert epsilon_lower_bound(noise, 1e-5) < 0.2
    perfect = make_scores(np.ones(300), np.zeros(300), "perfect")
    bound, name = strongest_lower_bound([noise, perfect], 1e-5)
    assert name == "perfect"
    assert 0 < bound < epsilon_lower_bound(perfect, 1e-5)
    assert epsilon_lower_bound(make_scores(np.ones(1), np.zeros(1)), 1e-5) == 0.0


@pytest.mark.parametrize(("independent", "method"), [(True, "one_run"), (False, "rates")])
def test_every_attack_has_a_bound_labelled_by_its_method(independent: bool, method: str) -> None:
    rng = np.random.default_rng(2)
    scores = [
        make_scores(rng.normal(size=300), rng.normal(size=290), "noise"),
        make_scores(rng.normal(3, 1, size=300), rng.normal(size=290), "strong"),
    ]
    noise, strong = bounds = lower_bounds(scores, 1e-5, independent=independent)
    assert [bound.attack for bound in bounds] == ["noise", "strong"]
    assert {(bound.method, bound.delta, bound.n_units) for bound in bounds} == {(method, 1e-5, 590)}
    assert noise.epsilon_corrected < 0.2
    assert 0 < strong.epsilon_corrected < strong.epsilon
    assert strongest_lower_bound(scores, 1e-5, independent=independent) == (strong.epsilon_corrected, "strong")
    if independent:
        assert strong.epsilon == pytest.approx(one_run_bound(scores[1], 1e-5).epsilon)
        corrected = one_run_bound(scores[1], 1e-5, error=0.025)
        assert (strong.epsilon_corrected, strong.n_guesses, strong.n_correct) == pytest.approx(corrected)
    else:
        assert strong.epsilon == pytest.approx(epsilon_lower_bound(scores[1], 1e-5))
        assert (strong.n_guesses, strong.n_correct) == (None, None)
