"""What is found: an `AttackResult` for each attack and control, a `BlindResult` a level, one `Verdict`.

Rates, AUROCs and probabilities are fractions between 0 and 1; intervals are (lower, upper).
"""

from dataclasses import dataclass
from typing import Literal

Interval = tuple[float, float]
Status = Literal["leak", "no_evidence", "not_assessable"]


@dataclass(frozen=True)
class TprAtFpr:
    """The true positive rate at the lowest threshold whose false positive rate is at most `fpr`.

    The threshold is read off the challenge set itself, and the intervals take it as given.

    Attributes:
        fpr: the false positive rate that was asked for.
        achieved_fpr: the realised one; at most `fpr`.
        achieved_fpr_ci95: its 95 % interval over speakers.
        tpr: the true positive rate there.
        tpr_ci95: its 95 % interval over speakers.
        resolvable: at least 10 non-members would be false positives at `fpr`.
    """

    fpr: float
    achieved_fpr: float
    achieved_fpr_ci95: Interval
    tpr: float
    tpr_ci95: Interval
    resolvable: bool


@dataclass(frozen=True)
class Difference:
    """How much further the target's AUROC is from chance than the wrong model's, on the same units.

    Attributes:
        value: AUROC of the target minus AUROC of the wrong model; sign turned where the attack is two-sided
            and the target's AUROC is below 0.5, so that positive always means "the target tells more".
        lower95: one-sided 95 % lower bound of `value` (for two-sided attacks at 97.5 %, because turning the
            sign by the same data gives chance two ways to be positive).
        standard_error: of `value`, by the cluster bootstrap over speakers.
        auroc_wrong_model: the wrong model's AUROC, sign not turned.
    """

    value: float
    lower95: float
    standard_error: float
    auroc_wrong_model: float


@dataclass(frozen=True)
class EachAsTarget:
    """The same attack with each shadow model in the target's place, itself and its partner taken from the fleet.

    Attributes:
        n_targets: shadow models that took their turn.
        auroc_mean: over them, each judged by its own members.
        auroc_sd: standard deviation over them.
        tpr_mean: mean true positive rate at each false positive rate asked for, in the order of `tpr_at_fpr`.
        wrong_model_auroc_mean: of the same scores, judged by the target's members: every shadow model is a wrong
            model for the target.
        wrong_model_auroc_sd: standard deviation over them.
    """

    n_targets: int
    auroc_mean: float
    auroc_sd: float
    tpr_mean: tuple[float, ...]
    wrong_model_auroc_mean: float
    wrong_model_auroc_sd: float


@dataclass(frozen=True)
class SubsetResult:
    """The same attack on the target with a part of the fleet.

    Attributes:
        n_shadows: shadow models, the first of the fleet.
        auroc: as in `AttackResult`.
        auroc_ci95: as in `AttackResult`.
        tpr_at_fpr: as in `AttackResult`.
    """

    n_shadows: int
    auroc: float
    auroc_ci95: Interval
    tpr_at_fpr: tuple[TprAtFpr, ...]


@dataclass(frozen=True)
class AttackResult:
    """How well one attack or control separates members from non-members.

    Attributes:
        name: as in `Scores`; `(name, level)` is unique.
        level: "utterance" or "speaker".
        access: "black-box", "open-weights", "grey-box" or "none".
        n_members: member units.
        n_nonmembers: non-member units.
        n_speakers: speakers of either side.
        auroc: probability that a member scores higher than a non-member, ties counted half.
        auroc_ci95: 95 % interval over speakers, for reading; the p-value does not come from it.
        p_value: by redrawing the split; two-sided where `two_sided`.
        p_value_corrected: for the attacks of this level and access together (max-T); None for controls.
        two_sided: as in `Scores`.
        advantage: max(TPR − FPR) over thresholds, with high scores taken as members.
        advantage_null_mean: its mean over redrawn splits (the first 250): what chance alone gives.
        tpr_at_fpr: one entry a false positive rate asked for.
        smallest_detectable_auroc: the AUROC (or 1 minus it, where two-sided) that this design finds with 80 %
            power; None for controls.
        versus_wrong_model: None where there is no wrong-model control.
        auroc_blind_adjusted: AUROC after taking out what the blind score explains; None without one.
        n_shadows: shadow models that it used.
        queries: waveforms that the target was given for each recording; None where that is not counted.
        in_turn: with each shadow model as the target; None without a fleet.
        with_fewer: with a part of the fleet, from few to many shadow models.
    """

    name: str
    level: str
    access: str
    n_members: int
    n_nonmembers: int
    n_speakers: int
    auroc: float
    auroc_ci95: Interval
    p_value: float
    p_value_corrected: float | None
    two_sided: bool
    advantage: float
    advantage_null_mean: float
    tpr_at_fpr: tuple[TprAtFpr, ...]
    smallest_detectable_auroc: float | None = None
    versus_wrong_model: Difference | None = None
    auroc_blind_adjusted: float | None = None
    n_shadows: int = 0
    queries: int | None = None
    in_turn: EachAsTarget | None = None
    with_fewer: tuple[SubsetResult, ...] = ()


@dataclass(frozen=True)
class BlindResult:
    """The blind control at one level: a classifier on model-free statistics, and how sure its failure is.

    Attributes:
        result: like that of any control; its p-value comes from redrawing the split *and refitting*.
        upper95: one-sided 95 % upper bound of its AUROC.
    """

    result: AttackResult
    upper95: float


@dataclass(frozen=True)
class LevelVerdict:
    """Verdict for the attacks of one level and access.

    Attributes:
        level: "utterance" or "speaker".
        access: as in `AttackResult`; "none" for a verdict on the split alone.
        status: "leak", "no_evidence" or "not_assessable".
        reason: one sentence.
        attack: name of the attack on which the verdict rests; None if it rests on the split or the blind control.
    """

    level: str
    access: str
    status: Status
    reason: str
    attack: str | None = None


@dataclass(frozen=True)
class Verdict:
    """The verdict over all levels and accesses; `reason` is one sentence."""

    status: Status
    reason: str
    by_level_and_access: tuple[LevelVerdict, ...]
