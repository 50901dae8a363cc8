"""Results of attacks and controls, and the verdict.

Rates, AUROCs and probabilities are fractions between 0 and 1; intervals are (lower, upper).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lightning_mia.evaluation.scores import Family

Interval = tuple[float, float]
Status = Literal["leak", "no_evidence", "not_assessable"]

NO_INTERVAL: Interval = (0.0, 1.0)
"""Interval of a rate or an AUROC of which nothing is known; texts print it as "no interval"."""

NO_DIFFERENCE_INTERVAL: Interval = (-1.0, 1.0)
"""The same for a difference."""

HEADLINE_FPR = 0.01
"""False positive rate of the TPR in sentences and tables of attacks."""


@dataclass(frozen=True)
class TprAtFpr:
    """True positive rate at a fixed false positive rate.

    The threshold is the lowest whose false positive rate is at most `fpr`, on the challenge set itself. The interval of
    the true positive rate counts the threshold's error too; that of the achieved rate takes the threshold as given.

    Attributes:
        fpr: requested false positive rate.
        achieved_fpr: false positive rate at the threshold; at most `fpr`.
        achieved_fpr_ci95: its 95 % interval over speakers.
        tpr: true positive rate at the threshold.
        tpr_ci95: 95 % interval over speakers of the true positive rate at `fpr`; starts at 0 if so few false positives
            are expected that the threshold has no upper limit.
        resolvable: at least 10 non-members would be false positives at `fpr`.

    Example:
        >>> rate = TprAtFpr(0.01, 0.0, (0.0, 0.04), 0.25, (0.15, 0.37), resolvable=False)
        >>> f"TPR {rate.tpr:.0%} at FPR {rate.fpr:.0%}"
        'TPR 25% at FPR 1%'
    """

    fpr: float
    achieved_fpr: float
    achieved_fpr_ci95: Interval
    tpr: float
    tpr_ci95: Interval
    resolvable: bool


def has_interval(bounds: Interval | None) -> bool:
    """Test whether an interval says anything.

    >>> has_interval((0.0, 0.9)), has_interval(NO_INTERVAL), has_interval(None)
    (True, False, False)
    """
    return bounds is not None and None not in bounds and tuple(bounds) not in (NO_INTERVAL, NO_DIFFERENCE_INTERVAL)


def headline_rate(rates: Sequence[TprAtFpr]) -> TprAtFpr | None:
    """Choose the rate whose FPR is nearest to 1 %."""
    return min(rates, key=lambda rate: abs(math.log(rate.fpr / HEADLINE_FPR)), default=None)


@dataclass(frozen=True)
class Difference:
    """How much further from chance target than wrong model is.

    Attributes:
        value: distance of the target's AUROC from 0.5 (signed unless the attack is two-sided), minus the absolute
            distance of the wrong model's. A positive value means that the target reveals more.
        lower95: one-sided 95 % lower bound of `value`, simultaneous over the attacks of a family (max-T).
        standard_error: of `value`, over speakers.
        auroc_wrong_model: AUROC of the wrong model on the same units.
        p_value: one-sided, of the hypothesis that `value` is at most 0, corrected over the family; None in results of
            earlier versions.
        wrong_model_p_value: two-sided p-value of the wrong model's AUROC by redrawing the split, corrected over all
            attacks of the level and part.

    Example:
        >>> difference = Difference(0.29, lower95=0.21, standard_error=0.05, auroc_wrong_model=0.51, p_value=0.001)
        >>> difference.p_value < 0.05  # required for a leak
        True
    """

    value: float
    lower95: float
    standard_error: float
    auroc_wrong_model: float
    p_value: float | None = None
    wrong_model_p_value: float | None = None


@dataclass(frozen=True)
class VersusSiblings:
    """Members against siblings, recordings of their source not trained on.

    Attributes:
        auroc: probability that a member scores higher than a sibling.
        p_value: by redrawing members and siblings, in the direction of the attack, corrected over the family.

    Example:
        >>> VersusSiblings(auroc=0.51, p_value=0.4).p_value < 0.05  # required for a leak
        False
    """

    auroc: float
    p_value: float


@dataclass(frozen=True)
class EachAsTarget:
    """Summary of an attack over all shadow models as targets.

    The model under attack and its partner are not among the attack's shadow models.

    Attributes:
        n_targets: number of shadow models under attack.
        auroc_mean: mean AUROC, each computed with the shadow model's own members.
        auroc_sd: standard deviation over the shadow models.
        tpr_mean: mean true positive rate at each requested false positive rate, in the order of `tpr_at_fpr`.
        wrong_model_auroc_mean: mean AUROC of the same scores, computed with the target's members: every shadow model is
            a wrong model for the target.
        wrong_model_auroc_sd: standard deviation over the shadow models.

    Example:
        >>> summary = EachAsTarget(16, 0.79, 0.01, (0.3,), 0.5, 0.02)
        >>> f"AUROC {summary.auroc_mean} ± {summary.auroc_sd} over {summary.n_targets} shadow models"
        'AUROC 0.79 ± 0.01 over 16 shadow models'
    """

    n_targets: int
    auroc_mean: float
    auroc_sd: float
    tpr_mean: tuple[float, ...]
    wrong_model_auroc_mean: float
    wrong_model_auroc_sd: float


@dataclass(frozen=True)
class SubsetResult:
    """Result of an attack with fewer shadow models.

    Attributes:
        n_shadows: number of shadow models; the first ones of the run.
        auroc: as in `AttackResult`.
        auroc_ci95: as in `AttackResult`.
        tpr_at_fpr: as in `AttackResult`.

    Example:
        >>> points = SubsetResult(2, 0.71, (0.65, 0.77), ()), SubsetResult(16, 0.8, (0.74, 0.85), ())
        >>> {point.n_shadows: point.auroc for point in points}
        {2: 0.71, 16: 0.8}
    """

    n_shadows: int
    auroc: float
    auroc_ci95: Interval
    tpr_at_fpr: tuple[TprAtFpr, ...]


@dataclass(frozen=True)
class ExposureGroup:
    """Members that were trained on equally often, against all non-members.

    Which members are trained on how often was drawn at random, before membership.

    Attributes:
        exposures: how often they are in an epoch.
        n_members: member units of the group.
        auroc: as in `AttackResult`.
        auroc_ci95: as in `AttackResult`.
        tpr_at_fpr: as in `AttackResult`.

    Example:
        >>> groups = ExposureGroup(1, 100, 0.6, (0.54, 0.66), ()), ExposureGroup(16, 100, 0.9, (0.86, 0.93), ())
        >>> {group.exposures: group.auroc for group in groups}
        {1: 0.6, 16: 0.9}
    """

    exposures: int
    n_members: int
    auroc: float
    auroc_ci95: Interval
    tpr_at_fpr: tuple[TprAtFpr, ...]


@dataclass(frozen=True)
class AttackResult:
    """Result of one attack or control.

    Attributes:
        name: as in `Scores`; `(name, level)` is unique.
        level: "utterance" or "speaker".
        access: "black-box", "open-weights", "grey-box", "white-box" or "none".
        n_members: member units.
        n_nonmembers: non-member units.
        n_speakers: speakers of members and non-members.
        auroc: probability that a member scores higher than a non-member, ties counted half.
        auroc_ci95: 95 % interval over speakers, for information; the p-value does not come from it.
        p_value: by redrawing the split; two-sided if `two_sided`.
        p_value_corrected: p-value corrected over the attacks of the family (max-T): same level, part and access; of
            a blind control, over the blind controls of its level and part; None for other controls.
        two_sided: as in `Scores`.
        advantage: max(TPR − FPR) over thresholds, with high scores taken as members.
        advantage_null_mean: mean advantage over redrawn splits (the first 250): what chance alone gives.
        tpr_at_fpr: one entry per requested false positive rate.
        smallest_detectable_auroc: AUROC (or 1 minus it, if two-sided) that this design detects with 80 % power; None
            for controls.
        versus_wrong_model: difference from the wrong model; None without a wrong-model control.
        auroc_blind_adjusted: AUROC after removing what the blind score explains; None without a blind score.
        n_shadows: shadow models used by the attack.
        n_references: reference models used by the attack.
        queries: waveforms per recording sent to the target; None if not counted.
        in_turn: with each shadow model as target; None without shadow models.
        with_fewer: with fewer shadow models, by ascending number; the last entry has all of them.
        part: as in `Scores`.
        p_value_two_sided: two-sided p-value, corrected over the family; it also detects effects of unexpected sign.
        versus_siblings: members against siblings; None without siblings.
        by_exposures: members trained on equally often, by ascending exposures; empty if all members are.

    Example:
        >>> result = AttackResult(
        ...     "lira", "utterance", "grey-box", 200, 200, 20, 0.8, (0.74, 0.85), 0.001, 0.002, False, 0.45, 0.06, ()
        ... )
        >>> f"{result.name}: AUROC {result.auroc}, corrected p = {result.p_value_corrected}"
        'lira: AUROC 0.8, corrected p = 0.002'
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
    part: str = ""
    p_value_two_sided: float | None = None
    versus_siblings: VersusSiblings | None = None
    by_exposures: tuple[ExposureGroup, ...] = ()
    n_references: int = 0

    @property
    def key(self) -> tuple[str, str]:
        """Name and level, unique in a run."""
        return self.name, self.level

    @property
    def family(self) -> Family:
        """Question and access."""
        return Family(self.level, self.part, self.access)


@dataclass(frozen=True)
class Exposure:
    """Attacks at one exposure of the positive control.

    Attributes:
        times: number of epochs for which training was continued on half of the recordings; 0 = the unchanged target.
        seconds: of that training.
        results: one per attack.
    """

    times: int
    seconds: float
    results: tuple[AttackResult, ...]


@dataclass(frozen=True)
class BlindResult:
    """Result of the blind baseline, a classifier on model-free statistics.

    Attributes:
        result: as of any control; its p-value comes from redrawing the split *and refitting*.
        upper95: one-sided 95 % upper bound of its AUROC.
        n_labellings: distinct labellings that the split's mechanism allows, which limit the p-value; None if unknown.
        clean_refused: share of clean user-supplied splits of this size that would be refused; None if unknown.
        growth_needed: factor by which a user-supplied split must grow so that few clean ones are refused.

    Example:
        >>> result = AttackResult(
        ...     "blind", "utterance", "none", 200, 200, 20, 0.52, (0.46, 0.57), 0.4, None, False, 0.09, 0.06, ()
        ... )
        >>> BlindResult(result, upper95=0.56).upper95 <= 0.60  # the limit for user-supplied splits
        True
    """

    result: AttackResult
    upper95: float
    n_labellings: int | None = None
    clean_refused: float | None = None
    growth_needed: float = 1.0


@dataclass(frozen=True)
class LevelVerdict:
    """Verdict for one family: the attacks of one question and access.

    Attributes:
        level: "utterance" or "speaker".
        access: as in `AttackResult`; "none" for a verdict on the split alone.
        status: "leak", "no_evidence" or "not_assessable".
        reason: one sentence.
        attack: name of the attack on which the verdict rests; None if it rests on the split or the blind baseline.
        part: as in `Scores`.
        p_value: smallest level at which the family is a leak, corrected over its attacks; None if nothing was tested.
        p_value_overall: the same, corrected over all families by Holm's method; the overall verdict uses it.

    Example:
        >>> verdict = LevelVerdict("utterance", "grey-box", "leak", "lira has AUROC 0.80", attack="lira")
        >>> f"{verdict.status} by {verdict.attack} at {verdict.family}"
        'leak by lira at utterance level, grey-box'
    """

    level: str
    access: str
    status: Status
    reason: str
    attack: str | None = None
    part: str = ""
    p_value: float | None = None
    p_value_overall: float | None = None

    @property
    def family(self) -> Family:
        """Question and access."""
        return Family(self.level, self.part, self.access)


@dataclass(frozen=True)
class Verdict:
    """Verdict over all families.

    Attributes:
        status: "leak", "no_evidence" or "not_assessable"; without a leak, it is "leak" in at most 5 % of audits.
        reason: one sentence.
        by_level_and_access: one verdict per family, each at its own level of 5 %; the decisive one comes first.

    Example:
        >>> family = LevelVerdict("utterance", "grey-box", "leak", "lira has AUROC 0.80", attack="lira")
        >>> verdict = Verdict("leak", "Utterance level, grey-box: lira has AUROC 0.80.", (family,))
        >>> [(part.level, part.access, part.attack) for part in verdict.by_level_and_access if part.status == "leak"]
        [('utterance', 'grey-box', 'lira')]
    """

    status: Status
    reason: str
    by_level_and_access: tuple[LevelVerdict, ...]
