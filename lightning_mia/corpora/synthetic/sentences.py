"""Grammatical English sentences from a small vocabulary."""

from collections.abc import Sequence

import numpy as np


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_PEOPLE = _words("""
    artist baker builder captain cousin dancer doctor driver farmer gardener grandmother hunter judge lawyer
    neighbour nurse painter pilot sailor shepherd singer soldier student tailor teacher uncle waiter writer
""")
_THINGS = _words("""
    apple basket blanket bottle candle carpet chair clock coat drum envelope flag guitar hammer hat jacket
    kettle key lamp letter map mirror newspaper onion orange pencil picture pillow plate rope shovel spoon
    stone sweater ticket umbrella vase
""")
_PLACES = _words("""
    bridge castle church field forest garden harbour kitchen market mountain oven river school station table
    tower wall
""")
_PERSON_ADJECTIVES = _words("""
    angry brave clever friendly gentle happy hungry kind lonely old proud quiet shy strong tall tired wise
    young
""")
_THING_ADJECTIVES = _words("""
    ancient blue broken brown clean dark empty famous green huge little lovely narrow new old pale plain red
    round shiny small strange ugly white wooden yellow
""")
_TRANSITIVE_VERBS = _words("""
    borrowed bought brought carried chose cleaned described dropped fixed forgot found hid kept left lost
    moved noticed painted pulled pushed remembered sold saved stole touched wanted washed watched
""")
_INTRANSITIVE_VERBS = _words("""
    danced jumped laughed rested sang shouted slept smiled stood stopped waited walked whistled worked
""")
_PREPOSITIONS = ("behind", "beside", "near", "in front of", "not far from")
_DETERMINERS = ("the", "a", "my", "our", "this", "that", "every", "another")
_TIMES = ("again", "at night", "on Sunday", "this morning", "yesterday", "too early", "as usual")


def draw_sentence(rng: np.random.Generator) -> str:
    """Draw a sentence of 5 to 12 words.

    >>> draw_sentence(np.random.default_rng(3))
    'A friendly doctor saved this green kettle this morning.'
    """
    words = _noun_phrase(rng, _PERSON_ADJECTIVES, _PEOPLE)
    if rng.random() < 0.7:
        words += [_choose(rng, _TRANSITIVE_VERBS), *_noun_phrase(rng, _THING_ADJECTIVES, _THINGS)]
    else:
        words += [
            _choose(rng, _INTRANSITIVE_VERBS),
            _choose(rng, _PREPOSITIONS),
            *_noun_phrase(rng, _THING_ADJECTIVES, _PLACES),
        ]
    if rng.random() < 0.3:
        words.append(_choose(rng, _TIMES))
    sentence = " ".join(words)
    return sentence[0].upper() + sentence[1:] + "."


def _noun_phrase(rng: np.random.Generator, adjectives: Sequence[str], nouns: Sequence[str]) -> list[str]:
    """Draw a determiner, sometimes an adjective, and a noun."""
    words = [_choose(rng, adjectives)] if rng.random() < 0.4 else []
    words.append(_choose(rng, nouns))
    determiner = _choose(rng, _DETERMINERS)
    before_vowel = words[0][0] in "aeiou"
    return ["an" if determiner == "a" and before_vowel else determiner, *words]


def _choose(rng: np.random.Generator, words: Sequence[str]) -> str:
    return words[int(rng.integers(len(words)))]
