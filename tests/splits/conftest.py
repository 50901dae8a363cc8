"""Corpora of many sizes, with made-up contents."""

from collections.abc import Callable

import pandas as pd
import pytest

MakeCorpus = Callable[..., tuple[pd.DataFrame, dict[str, str]]]


@pytest.fixture
def make_corpus() -> MakeCorpus:
    def make(*sizes: int, same_audio: list[set[str]] = []) -> tuple[pd.DataFrame, dict[str, str]]:  # noqa: B006
        """Make speakers a, b, … of these sizes.

        Utterances are a-000, a-001, …; each set of `same_audio` has one content.
        """
        names = [chr(ord("a") + index) if len(sizes) <= 26 else f"s{index:04d}" for index in range(len(sizes))]
        rows = [(f"{s}-{i:03d}", s) for s, size in zip(names, sizes, strict=True) for i in range(size)]
        table = pd.DataFrame(rows, columns=["id", "speaker"])
        contents = {name: f"content of {name}" for name in table["id"]}
        for copies in same_audio:
            contents |= dict.fromkeys(copies, f"content of {min(copies)}")
        return table, contents

    return make
