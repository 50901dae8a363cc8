import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pytest

from lightning_mia.report.files.serialization import from_plain, to_plain
from lightning_mia.utilities.errors import InputError


@dataclass(frozen=True)
class Inner:
    value: float
    kind: Literal["a", "b"] = "a"


@dataclass(frozen=True)
class Outer:
    name: str
    n: int
    pair: tuple[float, float]
    inners: tuple[Inner, ...]
    maybe: Inner | None = None
    table: dict[str, float] | None = None
    drawn: bool = False


WHOLE = Outer("x", 3, (0.1, 1.0), (Inner(0.1 + 0.2), Inner(2.0, "b")), Inner(1e-9), {"a": 1.5}, True)


def test_values_survive_a_round_trip():
    assert from_plain(Outer, to_plain(WHOLE), "file") == WHOLE


def test_integers_are_floats_and_unknown_keys_are_ignored():
    assert from_plain(Inner, {"value": 1, "added_by_others": []}, "file") == Inner(1.0)


def test_numpy_scalars_and_values_unknown_to_json():
    assert to_plain({"n": np.int64(2), "x": np.float32(0.5), "list": np.array([1.0, np.nan])}) == {
        "n": 2,
        "x": 0.5,
        "list": [1.0, None],
    }
    assert to_plain([math.inf, -math.inf, True, None]) == [None, None, True, None]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": "3"}, r"^file.n: expected int, but got str"),
        ({"n": True}, r"^file.n: expected int, but got bool"),
        ({"pair": 3}, r"^file.pair: expected list, but got int"),
        ({"inners": [{"value": 1.0}, {}]}, r"^file.inners\[1\]: the key 'value' is missing"),
        (
            {"inners": [{"value": 1.0, "kind": "c"}]},
            r"^file.inners\[0\].kind: expected one of a, b, but got 'c'",
        ),
        ({"maybe": []}, r"^file.maybe: expected dict, but got list"),
    ],
)
def test_errors_name_the_position(change, message):
    with pytest.raises(InputError, match=message) as raised:
        from_plain(Outer, {**to_plain(WHOLE), **change}, "file")
    assert "\n" not in str(raised.value)
