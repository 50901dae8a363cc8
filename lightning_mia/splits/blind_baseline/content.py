"""Statistics of what is said: words and characters of the transcripts."""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

MAX_WORDS = 200
"""Words of a text that count; about a minute of speech."""
N_BUCKETS = 2**18  # terms are hashed, so that memory does not grow with the vocabulary
MIN_RECORDINGS = 5
"""Terms of fewer recordings are dropped, as are terms that fewer recordings lack."""
MAX_TERMS = 300
UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
"""Scripts without spaces between words: Thai, Lao, Burmese, Khmer, kana and Chinese characters."""


def content_statistics(texts: Mapping[str, str], ids: Sequence[str]) -> pd.DataFrame | None:
    """Describe the transcripts of recordings.

    Args:
        texts: transcripts by recording id; any may be missing, in any script.
        ids: recordings.

    Returns:
        float64, one row per recording (index `id`): numbers of words and characters, spelling, and 0/1 columns of the
        terms that divide the recordings best into two parts. Terms are texts, words, pairs of words, scripts and, in
        scripts without spaces, characters and pairs of characters. None if no recording has a text.
    """
    from sklearn.feature_extraction.text import HashingVectorizer

    values = [unicodedata.normalize("NFKC", texts.get(utterance) or "") for utterance in ids]
    if not any(values):
        return None
    terms = _terms(values)
    hashed = HashingVectorizer(
        analyzer=terms, n_features=N_BUCKETS, binary=True, norm=None, alternate_sign=False, dtype=np.float32
    ).transform(values)
    n_with = np.asarray(hashed.sum(axis=0)).ravel()
    n_fewer = np.minimum(n_with, len(values) - n_with)  # with it or without it
    frequent = np.argsort(-n_fewer, kind="stable")[:MAX_TERMS]
    frequent = frequent[n_fewer[frequent] >= MIN_RECORDINGS]
    index = pd.Index(list(ids), name="id")
    columns = [f"term_{bucket}" for bucket in frequent]
    found = pd.DataFrame(hashed[:, frequent].toarray().astype(np.float64), index=index, columns=columns)
    return pd.concat([pd.DataFrame(list(map(_spelling, values)), index=index, dtype=np.float64), found], axis=1)


def _spelling(text: str) -> dict[str, float]:
    n = max(len(text), 1)
    return {
        "n_words": float(len(text.split())),
        "n_characters": float(len(text)),
        "upper_case": sum(map(str.isupper, text)) / n,
        "digits": sum(map(str.isdigit, text)) / n,
        "punctuation": sum(unicodedata.category(character)[0] == "P" for character in text) / n,
    }


def _terms(texts: Sequence[str]) -> Callable[[str], list[str]]:
    """Return a function that lists the terms of a text."""
    characters: set[str] = set().union(*texts)
    # Not \W, which would cut words at the vowel signs of many scripts.
    spaces = {ord(each): " " for each in characters if unicodedata.category(each)[0] in "PSZC"}
    scripts = {each: _script(each) for each in characters}

    def terms(text: str) -> list[str]:
        words = text.casefold().translate(spaces).split()[:MAX_WORDS]
        joined = " ".join(words)[: 10 * MAX_WORDS]
        unspaced = UNSPACED.findall(joined)
        return [
            f"text {joined}",
            *(f"word {word}" for word in words),
            *(f"words {first} {second}" for first, second in pairwise(words)),
            *(f"character {each}" for each in unspaced),
            *(f"characters {first}{second}" for first, second in pairwise(unspaced)),
            *(f"script {each}" for each in {scripts[each] for each in set(text)} if each),
        ]

    return terms


def _script(character: str) -> str:
    """Return the first word of a letter's Unicode name, such as LATIN."""
    return unicodedata.name(character, "").split(" ")[0] if character.isalpha() else ""
