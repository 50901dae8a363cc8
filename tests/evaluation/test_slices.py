import numpy as np
import pytest

from lightning_mia.evaluation.evaluate import evaluate_scores
from lightning_mia.evaluation.scores import Scores
from lightning_mia.evaluation.settings import EvaluationSettings
from lightning_mia.evaluation.slices import cut_by_category, cut_in_thirds, slices


@pytest.fixture(scope="module")
def scores() -> Scores:
    """Plant a leak in the members of even speakers."""
    rng = np.random.default_rng(0)
    speaker, members = np.repeat(np.arange(20), 10), np.tile(np.arange(10) < 5, 20)
    values = rng.normal(size=200) + 2 * (members & (speaker % 2 == 0))
    return Scores("a", "utterance", "grey-box", False, np.arange(200).astype(str), speaker.astype(str), members, values)


def test_each_slice_has_its_own_auroc(scores: Scores) -> None:
    categories = ["even" if int(speaker) % 2 == 0 else "odd" for speaker in scores.speakers]
    even, odd = slices(scores, [cut_by_category("parity", categories)], 500, 0)
    assert (even.by, even.value, odd.value) == ("parity", "even", "odd")
    assert (even.n_members, even.n_nonmembers, even.n_speakers) == (50, 50, 10)
    assert even.auroc_ci95[0] > 0.8
    assert odd.auroc_ci95[0] < 0.5 < odd.auroc_ci95[1]


def test_a_slice_is_evaluated_like_a_challenge_set(scores: Scores) -> None:
    mask = np.array([int(speaker) % 2 == 0 for speaker in scores.speakers])
    part = Scores(
        "a", "utterance", "grey-box", False, scores.unit_ids[mask], scores.speakers[mask], scores.members[mask],
        scores.values[mask],
    )  # fmt: skip

    def redraw(units, level, n, seed):
        return np.random.default_rng(seed).permuted(np.tile(part.members, (n, 1)), axis=1)

    (whole,) = evaluate_scores([part], redraw, EvaluationSettings(n_bootstraps=4000))
    even = slices(scores, [cut_by_category("parity", mask.astype(str).tolist())], 4000, 0)[1]
    assert even.auroc == whole.auroc
    assert even.auroc_ci95 == pytest.approx(whole.auroc_ci95, abs=0.01)


@pytest.mark.parametrize("n_speakers", [1, 5])
def test_a_slice_of_few_speakers_has_no_auroc(scores: Scores, n_speakers: int) -> None:
    categories = ["few" if int(speaker) < n_speakers else "many" for speaker in scores.speakers]
    few, many = slices(scores, [cut_by_category("size", categories)], 100, 0)
    assert (few.auroc, few.auroc_ci95) == (None, None)
    assert few.n_speakers == n_speakers
    assert many.auroc is not None


def test_constant_properties_are_skipped(scores: Scores) -> None:
    same = cut_in_thirds("duration", np.ones(200), 2, "s")
    unknown = cut_by_category("gender", ["female"] * 100 + [""] * 100)
    assert slices(scores, [same, unknown], 100, 0) == ()


def test_units_with_unknown_values_come_last(scores: Scores) -> None:
    parts = slices(scores, [cut_by_category("gender", ["", "b", "a", ""] * 50)], 100, 0)
    assert [part.value for part in parts] == ["a", "b", ""]
    assert sum(part.n_members + part.n_nonmembers for part in parts) == 200


def test_thirds_ascend_and_keep_equal_numbers_together() -> None:
    cut = cut_in_thirds("level", np.array([-30.0] * 5 + [-20.0] * 3 + [-10.0]), 0, "dBFS")
    assert cut.order == ("−30 dBFS", "−20 dBFS", "−10 dBFS")
    assert cut.values.count("−30 dBFS") == 5
    close = cut_in_thirds("duration", np.array([1.001, 1.002, 1.003, 1.004]), 1, "s")
    assert close.order == ("1.0 s",), "ranges with equal names are one slice"
