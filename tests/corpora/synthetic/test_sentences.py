import re

import numpy as np

from lightning_mia.corpora.synthetic import sentences
from lightning_mia.corpora.synthetic.sentences import draw_sentence


def draw(n: int) -> list[str]:
    rng = np.random.default_rng(5)
    return [draw_sentence(rng) for _ in range(n)]


def alternatives(*lists: tuple[str, ...]) -> str:
    return "(?:" + "|".join(word for words in lists for word in words) + ")"


def test_every_sentence_obeys_the_grammar() -> None:
    determiner = alternatives(sentences._DETERMINERS, ("an",))
    person = f"{determiner} (?:{alternatives(sentences._PERSON_ADJECTIVES)} )?{alternatives(sentences._PEOPLE)}"
    thing = f"{determiner} (?:{alternatives(sentences._THING_ADJECTIVES)} )?{alternatives(sentences._THINGS)}"
    place = f"{determiner} (?:{alternatives(sentences._THING_ADJECTIVES)} )?{alternatives(sentences._PLACES)}"
    transitive = f"{alternatives(sentences._TRANSITIVE_VERBS)} {thing}"
    intransitive = f"{alternatives(sentences._INTRANSITIVE_VERBS)} {alternatives(sentences._PREPOSITIONS)} {place}"
    grammar = re.compile(
        f"{person} (?:{transitive}|{intransitive})(?: {alternatives(sentences._TIMES)})?\\.", re.IGNORECASE
    )
    wrong = [sentence for sentence in draw(2000) if not grammar.fullmatch(sentence)]
    assert not wrong


def test_articles_agree_with_the_next_sound() -> None:
    # In this vocabulary spelling determines the sound: no hour, no uniform.
    assert not any(re.search(r"\b(?:a [aeiou]|an [^aeiou])", sentence, re.IGNORECASE) for sentence in draw(2000))


def test_sentences_differ_and_start_with_a_capital() -> None:
    sample = draw(2000)
    assert len(set(sample)) > 1950
    assert all(sentence[0].isupper() for sentence in sample)


def test_same_generator_same_sentences() -> None:
    assert draw(20) == draw(20)
