"""What is found of a target's usefulness."""

from dataclasses import dataclass

from lightning_mia.evaluation.results import Interval


@dataclass(frozen=True)
class ProbeAccuracy:
    """How often a linear probe is right about recordings that it was not fitted on.

    Attributes:
        accuracy: share of the recordings.
        accuracy_ci95: its 95 % interval over speakers.
        layers: the layer that each fold's inner cross-validation chose; 0 is the input of the first block.
    """

    accuracy: float
    accuracy_ci95: Interval
    layers: tuple[int, ...]


@dataclass(frozen=True)
class Utility:
    """What the target, and the same model untrained, can do with recordings that the target has never seen.

    Attributes:
        probe: what the linear probe has to tell: "speaker", "keyword", or "none".
        n_recordings: recordings, none of a member.
        n_speakers: their speakers.
        n_classes: speakers or keywords to choose among; 0 without a probe.
        chance: accuracy of always naming the most frequent class; None without a probe.
        target: the probe on the target; None without a probe.
        untrained: the same probe on the untrained control; None where there is none.
        pretext: mean pretext score of the target (log-odds; TERA: −log L1), higher = better; None where the model has
            no pretext task to ask.
        pretext_untrained: the same of the untrained control.
        mask_probability: of the masks of that task; None where it hides no frames.
    """

    probe: str
    n_recordings: int
    n_speakers: int
    n_classes: int
    chance: float | None
    target: ProbeAccuracy | None
    untrained: ProbeAccuracy | None
    pretext: float | None
    pretext_untrained: float | None
    mask_probability: float | None
