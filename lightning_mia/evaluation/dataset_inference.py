"""One p-value for a whole set: were these recordings, taken together, trained on?

Dataset inference (Maini, Yaghini and Papernot 2021, arXiv 2104.10706, section 5; Maini et al. 2024, arXiv 2406.06443,
section 5) tests whether a *suspect set*, which its owner believes was trained on, has a higher mean score than a
*validation set* of the same kind that was not. Weak evidence a recording adds up over many.

Different here: the scores become normal scores first (their ranks as quantiles of the normal distribution), where the
2024 paper replaces outliers, so that a few huge likelihood ratios weigh no more than their rank. And the p-value comes
from redrawing the split by its own mechanism, which knows that recordings of a speaker belong together; the t-test of
the papers stands beside it, over speakers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lightning_mia.evaluation.evaluate import Redraw
from lightning_mia.evaluation.scores import Scores
from lightning_mia.evaluation.settings import EvaluationSettings
from lightning_mia.evaluation.statistics.adjustment import normal_scores
from lightning_mia.evaluation.statistics.auroc import labelled_sums
from lightning_mia.evaluation.statistics.clusters import number_speakers
from lightning_mia.evaluation.statistics.permutation import NullDistribution, p_value
from lightning_mia.evaluation.statistics.power import POWER

ALPHA = 0.05
N_SUBSAMPLES = 50  # of each size
N_SUBSAMPLE_REDRAWS = 199  # of each subsample: its p-value is at least .005
GRID = 2.0**-30  # of normal scores: sums of a million are exact, in any order, beside other attacks or alone
MIN_SIZE, MAX_SIZE = 2, 1000  # of either set; beyond, the p-value of the whole sets has to do


@dataclass(frozen=True)
class PAtSize:
    """What smaller suspect sets would have shown, each beside a validation set of the same size.

    Attributes:
        size: units of the suspect set.
        median_p: median p-value over random subsamples.
        found: share of the subsamples whose p-value is below .05.
    """

    size: int
    median_p: float
    found: float


@dataclass(frozen=True)
class DatasetInference:
    """Whether the suspect set as a whole stands out, by the scores of one attack.

    Attributes:
        attack: its name.
        level: "utterance" or "speaker": what a unit is.
        access: of the attack.
        two_sided: the sign of the attack's effect is not known beforehand, and the p-values are two-sided.
        n_suspect: units of the suspect set, the members of the split.
        n_validation: units of the validation set, its non-members.
        difference: mean normal score of the suspect set minus that of the validation set, in standard deviations.
        p_value: by redrawing the split; exact whatever the dependence between a speaker's recordings.
        p_value_t: of a t-test over speakers, for comparison; NaN where there are too few speakers for one.
        by_size: what smaller sets would have shown, sizes ascending.
    """

    attack: str
    level: str
    access: str
    two_sided: bool
    n_suspect: int
    n_validation: int
    difference: float
    p_value: float
    p_value_t: float
    by_size: tuple[PAtSize, ...]

    @property
    def units_needed(self) -> int | None:
        """The smallest size from which on 80 % of the subsamples have p < .05; None where none has."""
        enough: int | None = None
        for one in reversed(self.by_size):
            if one.found < POWER:
                break
            enough = one.size
        return enough


def dataset_inference(
    scores: Sequence[Scores], redraw: Redraw, settings: EvaluationSettings, progress: bool = False
) -> list[DatasetInference]:
    """Test a suspect set (the members) against a validation set (the non-members), and smaller ones as well.

    Args:
        scores: of attacks on the same units, in one order; they share subsamples and redraws.
        redraw: how the split redraws its labels.
        settings: `n_redraws` and `seed` are read.
        progress: show a progress bar.

    Raises:
        ValueError: the attacks judge other units.
    """
    from tqdm import tqdm

    first = scores[0]
    if any(not np.array_equal(one.unit_ids, first.unit_ids) for one in scores):
        raise ValueError("Expected scores of the same units in the same order")
    values = np.stack([one.values for one in scores])  # (attacks, n)
    everything = _differences(first, slice(None), values, redraw, settings.n_redraws, settings.seed)
    sides, sizes = Sides(first), _sizes(first)
    two_sided = [one.two_sided for one in scores]
    by_size = [
        _at_size(first, values, two_sided, sides, size, redraw, settings.seed)
        for size in tqdm(sizes, desc="All members together", unit="size", disable=not progress)
    ]  # of each size, one entry an attack
    return [
        DatasetInference(
            attack=one.name,
            level=one.level,
            access=one.access,
            two_sided=one.two_sided,
            n_suspect=one.n_members,
            n_validation=one.n_nonmembers,
            difference=float(differences[0]),
            p_value=p_value(NullDistribution(differences, one.two_sided)),
            p_value_t=p_value_over_speakers(one),
            by_size=of_sizes,
        )
        for one, differences, of_sizes in zip(scores, everything, zip(*by_size, strict=True), strict=True)
    ]


def _differences(
    units: Scores, places: np.ndarray | slice, values: np.ndarray, redraw: Redraw, n_redraws: int, seed: int
) -> np.ndarray:
    """Difference between the sets' mean normal scores by the observed labels and by redrawn ones.

    Args:
        units: whose units are judged.
        places: of those that are.
        values: (attacks, n) scores of all units.
        redraw: how the split redraws its labels.
        n_redraws: R.
        seed: of the redraws.

    Returns:
        (attacks, 1 + R) float64.
    """
    redrawn = np.asarray(redraw(units.unit_ids[places].tolist(), units.level, n_redraws, seed), dtype=bool)
    labels = np.concatenate([units.members[places][None], redrawn])
    exact = np.round(normal_scores(values[:, places]) / GRID) * GRID
    return mean_differences(exact, labels)


def mean_differences(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mean over the members minus mean over the others, for many labellings.

    Args:
        values: (..., n) float64.
        labels: (R, n) bool, one labelling a row.

    Returns:
        (..., R) float64; 0 for a row with one side empty.

    >>> mean_differences(np.array([1.0, 2.0, 6.0]), np.array([[True, False, False], [False, True, True]]))
    array([-3.,  3.])
    """
    sums, n_members = labelled_sums(values, labels), labels.sum(axis=1).astype(np.float64)
    n_others = labels.shape[1] - n_members
    both = (n_members > 0) & (n_others > 0)
    rest = values.sum(axis=-1, keepdims=True) - sums
    of_members, of_others = sums / np.maximum(n_members, 1), rest / np.maximum(n_others, 1)
    return np.where(both, of_members - of_others, 0.0)


def p_value_over_speakers(scores: Scores) -> float:
    """p-value of a t-test of the same difference, in which speakers are drawn and not recordings.

    What each speaker's recordings contribute to the difference is summed first; the spread of these sums gives the
    standard error. Where all speakers stand on one side it is Welch's test of their means (if they are equally rich),
    where each stands on both sides equally often it is the paired test.
    """
    from scipy.stats import t

    speaker, _ = number_speakers(scores.speakers)
    values, members = normal_scores(scores.values), scores.members
    means = {side: values[members == side].mean() for side in (True, False)}
    centred = np.where(members, values - means[True], means[False] - values)
    of_units = centred / np.where(members, scores.n_members, scores.n_nonmembers)
    of_speakers = np.bincount(speaker, weights=of_units)  # (S,) contributions, their sum is 0
    share = np.bincount(speaker, weights=members) / np.bincount(speaker)
    one_sided_speakers = np.isin(share, (0.0, 1.0)).all()
    groups = [of_speakers[share == side] for side in (1.0, 0.0)] if one_sided_speakers else [of_speakers]
    if min(len(group) for group in groups) < 2:
        return float("nan")
    variances = np.array([len(group) / (len(group) - 1) * np.square(group).sum() for group in groups])
    if variances.sum() == 0:
        return 1.0
    # Welch and Satterthwaite's degrees of freedom; S − 1 with one group.
    freedom = variances.sum() ** 2 / np.sum(variances**2 / [len(group) - 1 for group in groups])
    statistic = (means[True] - means[False]) / np.sqrt(variances.sum())
    return float(2 * t.sf(abs(statistic), freedom)) if scores.two_sided else float(t.sf(statistic, freedom))


def _sizes(scores: Scores) -> list[int]:
    """Two sizes an octave, in whole units: 2, 3, 4, 6, 8, 11, 16, …, and last that of the smaller set, or 1000."""
    largest = min(scores.n_members, scores.n_nonmembers, MAX_SIZE)
    steps = MIN_SIZE * np.sqrt(2) ** np.arange(64)
    return [*dict.fromkeys(size for size in np.round(steps).astype(int).tolist() if size < largest), largest]


class Sides:
    """Members and non-members, the latter by speaker, to draw pairs of sets from.

    Args:
        scores: of one attack.
    """

    def __init__(self, scores: Scores) -> None:
        self._speaker, n_speakers = number_speakers(scores.speakers)  # (n,)
        self._suspects, others = np.flatnonzero(scores.members), np.flatnonzero(~scores.members)
        self._others = others[np.argsort(self._speaker[others], kind="stable")]
        self._n_others = np.bincount(self._speaker[others], minlength=n_speakers)  # (S,)
        self._starts = np.cumsum(self._n_others) - self._n_others

    def draw(self, size: int, generator: np.random.Generator) -> np.ndarray:
        """Draw a suspect set, and a validation set of the same speakers as far as these have recordings for it.

        Args:
            size: units of either set.
            generator: source of randomness.

        Returns:
            (2 × size,) int, places of the units, ascending.
        """
        suspects = generator.choice(self._suspects, size, replace=False)
        wanted = np.bincount(self._speaker[suspects], minlength=len(self._n_others))
        taken = np.minimum(wanted, self._n_others)
        matched = np.concatenate(
            [
                self._starts[speaker] + generator.choice(self._n_others[speaker], taken[speaker], replace=False)
                for speaker in np.flatnonzero(taken)
            ]
            or [np.empty(0, dtype=int)]
        )  # places among the non-members
        if missing := size - len(matched):
            left = np.delete(np.arange(len(self._others)), matched)
            matched = np.append(matched, generator.choice(left, missing, replace=False))
        return np.sort(np.append(suspects, self._others[matched]))


def _at_size(
    units: Scores,
    values: np.ndarray,  # (attacks, n)
    two_sided: Sequence[bool],
    sides: Sides,
    size: int,
    redraw: Redraw,
    seed: int,
) -> list[PAtSize]:
    """p-values of random suspect sets of this size, one entry an attack; redraws are of the drawn units alone."""
    generator = np.random.default_rng([seed, size])
    p_values = np.empty((N_SUBSAMPLES, len(values)))
    for subsample in p_values:
        places = sides.draw(size, generator)
        own_seed = int(generator.integers(2**31))
        of_attacks = _differences(units, places, values, redraw, N_SUBSAMPLE_REDRAWS, own_seed)
        subsample[:] = [
            p_value(NullDistribution(one, turned)) for one, turned in zip(of_attacks, two_sided, strict=True)
        ]
    return [PAtSize(size, float(np.median(column)), float(np.mean(column < ALPHA))) for column in p_values.T]
