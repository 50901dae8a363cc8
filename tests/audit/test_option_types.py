"""Types of options as JSON."""

import json
import math
from pathlib import Path
from typing import Annotated, Any, Literal, Union

import pytest

from lightning_mia.audit.option_types import check_content, check_words, choices, describe, is_open, restore
from lightning_mia.models import SpeechModel
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.parser import Parser
from lightning_mia.utilities.ranges import Count, Positive, Processes, Range, Share

SAME = [
    int,
    float,
    bool,
    str,
    dict,
    Any,
    bool | int,
    list[int],
    list[Share] | None,
    Positive | None,
    Literal["utterance", "speaker"],
    Union[Literal[64, 32], Literal["64", "bf16"], None],  # noqa: UP007 - as Lightning writes it
    Annotated[float, Range(0.1, 1)],
    Count | Literal["auto"],
]


@pytest.mark.parametrize("hint", SAME, ids=str)
def test_a_type_survives_json(hint: Any) -> None:
    assert restore(json.loads(json.dumps(describe(hint), allow_nan=False))) == hint


@pytest.mark.parametrize(("hint", "accepts_all"), [(SpeechModel, True), (SpeechModel | None, True), (str | Path, True)])
def test_below_a_class_anything_may_follow(hint: Any, accepts_all: bool) -> None:
    assert is_open(describe(hint)) == accepts_all
    check_words("model", ["--model", "anything"], describe(hint))


def test_a_limit_that_differs_between_machines_is_left_to_the_parser() -> None:
    restored = restore(describe(Processes))
    assert restored.__metadata__ == (Range(0, math.inf),)


def test_choices_are_listed() -> None:
    assert choices(describe(Literal["mel", "raw"])) == ["mel", "raw"]
    assert choices(describe(int)) == []


@pytest.mark.parametrize(
    ("hint", "word"),
    [
        (bool | int, "abc"),
        (Count | None, "many"),
        (list[int], "3"),
        (Literal["a", "b"], "c"),
        (float, "x"),
        (int, "-c"),
    ],
)
def test_messages_are_those_of_the_full_parser(hint: Any, word: str) -> None:
    parser = Parser(prog="lightning-mia audit")
    parser.add_argument("--data.x", type=hint)
    with pytest.raises(InputError) as expected:
        parser.parse_args(["--data.x", word])
    with pytest.raises(InputError) as error:
        check_words("data.x", ["--data.x", word], describe(hint))
    assert str(error.value) == str(expected.value)


@pytest.mark.parametrize("value", [0, [1, -1]])
def test_numbers_out_of_range_are_refused(value: Any) -> None:
    with pytest.raises(InputError, match=r"^data.x is (0|-1): give 1 to 1,000,000$"):
        check_content("data.x", value, describe(Count | list[Count]))
