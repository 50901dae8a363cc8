"""Rows and note of the section on ε."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lightning_mia.evaluation.privacy import EpsilonBound
from lightning_mia.report.content.numbers import ABSENT, count, decimal

NEIGHBOURS = {"utterance": "one recording", "speaker": "all recordings of one speaker"}
UNITS = {"utterance": "recording", "speaker": "speaker"}


@dataclass(frozen=True)
class EpsilonRow:
    """Bounds of one attack, as text.

    Attributes:
        attack: name of the attack.
        access: of the attack.
        corrected: bound that holds together with those of the other attacks.
        alone: bound that holds for this attack alone.
        guesses: correct guesses of all guesses.
    """

    attack: str
    access: str
    corrected: str
    alone: str
    guesses: str


def epsilon_rows(bounds: Sequence[EpsilonBound]) -> tuple[EpsilonRow, ...]:
    """Return one row per attack, the largest bound first."""
    ranked = sorted(bounds, key=lambda bound: (-bound.epsilon_corrected, -bound.epsilon, bound.attack))
    return tuple(
        EpsilonRow(bound.attack, bound.access, rounded_down(bound.epsilon_corrected), rounded_down(bound.epsilon), text)
        for bound in ranked
        for text in [f"{count(bound.n_correct)} of {count(bound.n_guesses)}" if bound.n_guesses else ABSENT]
    )


def epsilon_note(bounds: Sequence[EpsilonBound]) -> str:
    """Describe what the bounds are and on what they rest."""
    if not bounds:
        return ""
    first = bounds[0]
    setting = (
        f"What the attacks show about the differential privacy of the training: with 95 % confidence, it is not (ε, "
        f"{first.delta:g})-differentially private for any ε below the bound. Neighbouring training sets differ in "
        f"{NEIGHBOURS[first.level]}."
    )
    if first.method == "rates":
        return (
            f"{setting} Approximate, not proven: log((TPR − δ) / FPR), with the threshold chosen on half of the units, "
            "and with the rates of the other half as if its units were independent trials. Exactly half of the units "
            "were drawn as members of one training, so they are not. A split with data.design.inclusion independent "
            "has a bound that holds."
        )
    return (
        f"{setting} A fair coin decided for each {UNITS[first.level]}. The highest scores guess members, equally many "
        "lowest scores non-members, and those in the middle are not guessed; the bound follows from the number of "
        "correct guesses alone (Steinke, Nasr and Jagielski 2023, arXiv 2305.08846). It holds for any attack and any "
        "model, and is corrected for the choice of the number of guesses."
    )


def rounded_down(epsilon: float) -> str:
    """Format a lower bound so that the text does not exceed it.

    >>> rounded_down(1.469), rounded_down(0.0)
    ('1.46', '0.00')
    """
    return decimal(math.floor(100 * epsilon) / 100, 2)
