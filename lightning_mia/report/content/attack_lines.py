"""One line on each attack, for readers who do not know them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from lightning_mia.evaluation.results import AttackResult


@dataclass(frozen=True)
class AttackLine:
    """What an attack asks.

    Attributes:
        stem: start of the names of its variants, such as "lira".
        idea: one sentence.
        page: its page in the documentation, below `docs/attacks`.
    """

    stem: str
    idea: str
    page: str

    @property
    def anchor(self) -> str:
        """Id of the line on the page."""
        return f"about-{self.stem}"


_LIKELIHOODS = "It compares the target with shadow models trained with the recording and without it: "
LINES = (
    AttackLine("utterance_similarity", "Are the outputs for a recording less alike over time?", "similarity.md"),
    AttackLine("speaker_similarity", "Are the outputs for a speaker's recordings more alike?", "similarity.md"),
    AttackLine(
        "learned_utterance_similarity",
        "A small network learns from the outputs which of the attacker's own recordings look like members.",
        "learned-similarity.md",
    ),
    AttackLine(
        "learned_speaker_similarity",
        "A small network learns from the outputs which pairs of the attacker's own recordings look like members.",
        "learned-similarity.md",
    ),
    AttackLine("pretext_loss", "Does the model solve its training task better on this recording?", "loss.md"),
    AttackLine("ctc_loss", "Does the model transcribe this recording with less error?", "loss.md"),
    AttackLine("token_loss", "Does the model predict this recording's transcript with more certainty?", "loss.md"),
    AttackLine(
        "surrogate_head",
        "The attacker fits a stand-in for the missing part of the model: how well does it solve the training task?",
        "surrogate-head.md",
    ),
    AttackLine(
        "relearn",
        "The model is trained further on the recordings in question: what it was trained on has little left to gain.",
        "relearn.md",
    ),
    AttackLine("fusion", "Adds the standardised scores of the attacks that its name lists.", "score-fusion.md"),
    AttackLine("lira", f"{_LIKELIHOODS}which of the two does it resemble?", "lira.md"),
    AttackLine("speaker_lira", "The same as lira, for all recordings of a speaker together.", "lira.md"),
    AttackLine("bavaria", f"{_LIKELIHOODS}like lira, but for few shadow models.", "bavaria.md"),
    AttackLine("midpoint", f"{_LIKELIHOODS}how far is it above the middle of the two?", "midpoint.md"),
    AttackLine(
        "rmia",
        "Does the recording stand out from what is usual for it by more than most other recordings do?",
        "rmia.md",
    ),
    AttackLine("speaker_rmia", "The same as rmia, for all recordings of a speaker together.", "rmia.md"),
    AttackLine("attack_r", "How many shadow models trained without the recording do no better on it?", "attack-r.md"),
    AttackLine(
        "calibrated_loss",
        "How much better is the target on the recording than shadow models trained without it?",
        "calibrated-loss.md",
    ),
    AttackLine(
        "quantile_regression",
        "Is the model better on the recording than is usual for recordings like it? It needs no shadow model.",
        "quantile-regression.md",
    ),
    AttackLine(
        "shadow_classifier",
        "A classifier learns on shadow models how members differ, and is applied to the target.",
        "shadow-classifier.md",
    ),
    AttackLine("encodermi", "Are the outputs for changed copies of a recording more alike?", "encodermi.md"),
    AttackLine("partcrop", "Does the model recognise a crop as part of this recording?", "partcrop.md"),
    AttackLine(
        "slmia",
        "A network learns on shadow models how the outputs for a member speaker's recordings differ.",
        "slmia.md",
    ),
    AttackLine(
        "user_statistics",
        "A random forest learns on shadow models how statistics of a member speaker's recordings differ.",
        "user-statistics.md",
    ),
)

SUFFIXES = (
    ("_offline", "with shadow models trained without the recording only"),
    ("_relearn", "compares the score of relearning"),
    ("_surrogate_head", "compares the score of a surrogate head"),
    ("_open", "with masks that the attacker chooses"),
    ("_trained", "asks with the recordings that were trained on"),
    ("_layer", "reads the outputs of this layer"),
)
"""End of a name → what it adds."""


def line_of(name: str) -> AttackLine | None:
    """Return the line of an attack; None for an attack from elsewhere.

    >>> line_of("lira_offline_surrogate_head").page
    'lira.md'
    """
    matching = [line for line in LINES if re.match(rf"{line.stem}(_|$)", name)]
    return max(matching, key=lambda line: len(line.stem), default=None)


def attack_lines(attacks: Iterable[AttackResult]) -> tuple[AttackLine, ...]:
    """Return the lines of some attacks, each once, in the order of `LINES`."""
    used = {line.stem for attack in attacks if (line := line_of(attack.name))}
    return tuple(line for line in LINES if line.stem in used)


def suffixes(attacks: Iterable[AttackResult]) -> tuple[tuple[str, str], ...]:
    """Return the explained ends of names that occur."""
    rests = [attack.name.removeprefix(line.stem) for attack in attacks if (line := line_of(attack.name))]
    return tuple((end, meaning) for end, meaning in SUFFIXES if any(end in rest for rest in rests))
