import numpy as np
import pandas as pd
import pytest

from lightning_mia.attacks import Evidence, Relearn
from lightning_mia.attacks.runner.simulation import simulate_audit
from lightning_mia.attacks.scalar_signals import RelearnScore
from lightning_mia.signals.relearning import DEFAULT_RELEARNING, Relearning
from lightning_mia.signals.table import Signals

COLUMNS = DEFAULT_RELEARNING.columns


def evidence(before: np.ndarray, after: np.ndarray, clips: int = 1) -> Evidence:
    """Recordings r00, r01, …, of which `clips` in a row are of one unit."""
    ids = [f"r{number:02d}" for number in range(len(before))]
    units = [f"u{number // clips:02d}" for number in range(len(before))]
    scores = pd.DataFrame(np.stack([before, after], axis=1), ids, COLUMNS)
    challenge = pd.DataFrame({"id": ids, "unit_id": units, "speaker": units})
    return Evidence(Signals(scores, np.zeros((len(ids), 1, 1))), challenge)


@pytest.fixture
def scores() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    after = rng.normal(size=60)
    return 0.7 * after + 0.1 * rng.normal(size=60) + 5.0, after


def test_the_score_is_the_residual_over_all_candidates(scores: tuple[np.ndarray, np.ndarray]) -> None:
    before, after = scores
    (slope, _), *_ = np.linalg.lstsq(np.stack([after, np.ones(60)], axis=1), before, rcond=None)
    assert 0.6 < slope < 0.8
    np.testing.assert_allclose(Relearn().score(evidence(before, after)), before - slope * after)


def test_the_slope_is_at_most_one(scores: tuple[np.ndarray, np.ndarray]) -> None:
    before, after = scores
    np.testing.assert_allclose(Relearn().score(evidence(2 * before, after)), 2 * before - after)


def test_copies_that_say_the_same_of_all_leave_the_score_before(scores: tuple[np.ndarray, np.ndarray]) -> None:
    before, after = scores
    np.testing.assert_allclose(Relearn().score(evidence(before, np.zeros_like(after))), before)


def test_a_speaker_has_the_mean_of_the_recordings(scores: tuple[np.ndarray, np.ndarray]) -> None:
    alone = Relearn().score(evidence(*scores)).to_numpy()
    speakers = Relearn().score(evidence(*scores, clips=3))
    np.testing.assert_allclose(speakers, alone.reshape(-1, 3).mean(axis=1))


def test_what_the_copies_share_with_the_model_is_removed() -> None:
    """Members are better by 1 before; difficulty, shared by both scores, has a spread of 5."""
    rng = np.random.default_rng(1)
    members, difficulty = np.arange(400) % 2 == 0, 5 * rng.normal(size=400)
    before = difficulty + members + 0.3 * rng.normal(size=400)
    after = difficulty + 0.3 * rng.normal(size=400)
    audit = simulate_audit(n_units=400, n_shadows=0)  # for its AUROC
    units = pd.Series(members, index=[f"u{number:02d}" for number in range(400)])
    score = Relearn().score(evidence(before, after))
    auroc = type(audit)(audit.evidence, units, score).auroc
    assert auroc(score) > 0.9 > 0.65 > auroc(pd.Series(before, index=score.index))


def test_names() -> None:
    other = Relearning(epochs=9)
    assert Relearn(other, "longer").name == "relearn_longer"
    assert RelearnScore(other, "longer").name == "relearn_longer"
    assert Relearn(other).groups == RelearnScore(other).groups == (other,)
