import numpy as np
import pandas as pd
import pytest
from torchmetrics.functional.text import char_error_rate, word_error_rate

from lightning_mia.models.objectives.transcripts import error_counts
from lightning_mia.signals.features.error_rates import error_rates
from lightning_mia.signals.table import Signals

TEXTS = {"a": "go", "b": "turn left now", "c": "stop it", "d": "yes", "e": "never heard"}
GUESSES = {"a": "go", "b": "turn right now", "c": "", "d": "yes yes yes", "e": "what"}


def signals() -> Signals:
    counts = {name: count.numpy() for name, count in error_counts([*GUESSES.values()], [*TEXTS.values()]).items()}
    return Signals(pd.DataFrame(counts, index=list(TEXTS)), np.zeros((5, 1, 2), np.float32))


def test_rates_are_those_of_all_texts_of_a_side_together() -> None:
    """Not the mean of the recordings' rates: a long text counts for more."""
    challenge = pd.DataFrame({"id": ["d", "b", "a", "c"], "member": [1, 0, 1, 0]})
    rates = error_rates(signals(), challenge)
    for side, ids in {"members": ["a", "d"], "others": ["b", "c"]}.items():
        guesses, texts = [GUESSES[i] for i in ids], [TEXTS[i] for i in ids]
        assert rates.loc[side, "recordings"] == 2
        assert rates.loc[side, "word_error_rate"] == pytest.approx(word_error_rate(guesses, texts).item())
        assert rates.loc[side, "character_error_rate"] == pytest.approx(char_error_rate(guesses, texts).item())


def test_a_side_that_nobody_is_on_is_left_out() -> None:
    rates = error_rates(signals(), pd.DataFrame({"id": ["a"], "member": [True]}))
    assert list(rates.index) == ["members"]
