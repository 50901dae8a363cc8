from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from lightning_mia.evaluation import EvaluationSettings, Scores
from lightning_mia.evaluation.scores import group_by_units
from lightning_mia.utilities.errors import InputError


def test_lists_become_arrays_of_the_right_type() -> None:
    scores = Scores("a", "speaker", "none", False, ["x", "y"], ["x", "y"], [1, 0], [3, 4])  # type: ignore[arg-type]
    assert (scores.members.dtype, scores.values.dtype) == (bool, np.float64)
    assert (len(scores), scores.n_members, scores.n_nonmembers) == (2, 1, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"values": np.array([1.0, np.nan, 2.0])}, "1 of 3 are not finite"),
        ({"values": np.array([1.0, 2.0])}, "one length"),
        ({"unit_ids": np.array(["u", "u", "v"])}, "duplicated"),
        ({"unit_ids": np.array(["w", "u", "w"])}, "duplicated"),
        ({"members": np.ones(3, dtype=bool)}, "only one of them"),
        ({"members": np.zeros(3, dtype=bool)}, "only one of them"),
        ({"level": "clip"}, "level in"),
        ({"access": "no-box"}, "no-box"),
    ],
)
def test_invalid_scores_are_rejected(change: dict[str, object], message: str) -> None:
    units, members = np.array(["u", "v", "w"]), np.array([True, False, False])
    good = Scores("a", "utterance", "grey-box", False, units, units, members, np.arange(3.0))
    with pytest.raises(ValueError, match=message):
        replace(good, **change)  # type: ignore[arg-type]


def test_scores_of_the_same_units_and_level_form_a_group() -> None:
    members = np.array([True, False])

    def make(name: str, level: str, *units: str) -> Scores:
        return Scores(name, level, "none", False, np.array(units), np.array(units), members, np.zeros(2))

    scores = [
        make("a", "speaker", "x", "y"),
        make("b", "utterance", "x", "y"),
        make("c", "speaker", "y", "x"),
        make("d", "speaker", "x", "y"),
        make("e", "utterance", "x", "z"),
    ]
    assert [[score.name for score in group] for group in group_by_units(scores)] == [["a", "d"], ["b"], ["c"], ["e"]]


@pytest.mark.parametrize(
    "make",
    [
        lambda: EvaluationSettings(n_redraws=999),
        lambda: EvaluationSettings(n_bootstraps=10),
        lambda: EvaluationSettings(fprs=[]),
        lambda: EvaluationSettings(fprs=[0.0, 0.1]),
        lambda: EvaluationSettings(fprs=[1.0]),
        lambda: EvaluationSettings(seed=-1),
    ],
)
def test_invalid_settings_are_rejected_in_one_line(make: Callable[[], EvaluationSettings]) -> None:
    with pytest.raises(InputError, match=r"^evaluation\.\w+ is [^\n]*$"):
        make()
