import re

import numpy as np

from lightning_mia.corpora.synthetic import sentences
from lightning_mia.corpora.synthetic.sentences import draw_sentence


def drawn(n: int) -> list[str]:
    rng = np.random.default_rng(5)
    return [draw_sentence(rng) for _ in range(n)]


def one_of(*lists: tuple[str, ...]) -> str:
    return "(?:" + "|".join(word for words in lists for word in words) + ")"


def test_every_sentence_obeys_the_grammar() -> None:
    determiner = one_of(sentences._DETERMINERS, ("an",))
    person = f"{determiner} (?:{one_of(sentences._TRAITS)} )?{one_of(sentences._PEOPLE)}"
    thing = f"{determiner} (?:{one_of(sentences._QUALITIES)} )?{one_of(sentences._THINGS)}"
    place = f"{determiner} (?:{one_of(sentences._QUALITIES)} )?{one_of(sentences._PLACES)}"
    deed = f"{one_of(sentences._DEEDS)} {thing}"
    pastime = f"{one_of(sentences._PASTIMES)} {one_of(sentences._PREPOSITIONS)} {place}"
    whole = re.compile(f"{person} (?:{deed}|{pastime})(?: {one_of(sentences._TIMES)})?\\.", re.IGNORECASE)
    wrong = [sentence for sentence in drawn(2000) if not whole.fullmatch(sentence)]
    assert not wrong


def test_articles_agree_with_the_next_sound() -> None:
    # In this vocabulary letters tell the sounds: no hour, no uniform.
    assert not any(re.search(r"\b(?:a [aeiou]|an [^aeiou])", sentence, re.IGNORECASE) for sentence in drawn(2000))


def test_sentences_differ_and_start_with_a_capital() -> None:
    some = drawn(2000)
    assert len(set(some)) > 1950
    assert all(sentence[0].isupper() for sentence in some)


def test_same_generator_same_sentences() -> None:
    assert drawn(20) == drawn(20)
