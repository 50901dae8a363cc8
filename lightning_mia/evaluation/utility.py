"""Results of the utility evaluation."""

from dataclasses import dataclass

from lightning_mia.evaluation.results import Interval


@dataclass(frozen=True)
class ProbeAccuracy:
    """Cross-validated accuracy of a linear probe.

    Attributes:
        accuracy: share of correctly classified recordings.
        accuracy_ci95: its 95 % interval over speakers.
        layers: layer chosen by the inner cross-validation of each fold; 0 is the input of the first block.

    Example:
        >>> probe = ProbeAccuracy(0.83, (0.78, 0.87), layers=(2, 2, 3))
        >>> f"{probe.accuracy:.0%} of recordings, best layers {sorted(set(probe.layers))}"
        '83% of recordings, best layers [2, 3]'
    """

    accuracy: float
    accuracy_ci95: Interval
    layers: tuple[int, ...]


@dataclass(frozen=True)
class Utility:
    """Utility of the target and of an untrained model.

    Measured on recordings that the target was not trained on.

    Attributes:
        probe: label predicted by the linear probe: "speaker", "keyword", or "none".
        n_recordings: number of these recordings.
        n_speakers: number of their speakers.
        n_classes: number of speakers or keywords to choose from; 0 without a probe.
        chance: accuracy of always predicting the most frequent class; None without a probe.
        target: the probe on the target; None without a probe.
        untrained: the same probe on the untrained model; None without such a control.
        pretext: mean pretext score of the target (log-odds; TERA: −log L1), higher = better; None without a pretext
            task.
        pretext_untrained: mean pretext score of the untrained model.
        mask_probability: of the masks of the pretext task; None if it masks no frames.

    Example:
        >>> target, untrained = ProbeAccuracy(0.83, (0.78, 0.87), (2,)), ProbeAccuracy(0.31, (0.26, 0.36), (1,))
        >>> utility = Utility("speaker", 400, 20, 20, 0.05, target, untrained, -1.2, -2.5, 0.3)
        >>> round(utility.target.accuracy - utility.untrained.accuracy, 2)
        0.52
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
