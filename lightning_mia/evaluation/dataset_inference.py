"""Dataset inference: one p-value for a whole set of recordings.

Dataset inference (Maini, Yaghini and Papernot 2021, arXiv 2104.10706, section 5; Maini et al. 2024, arXiv 2406.06443,
section 5) tests whether a *suspect set*, which its owner believes was trained on, has a higher mean score than a
*validation set* of the same kind that was not. Weak evidence per recording adds up over many.

Two things differ here. The scores become normal scores first (their ranks as quantiles of the normal distribution),
so that a few huge likelihood ratios do not dominate the mean; the 2024 paper replaces outliers instead. And the
p-value comes from redrawing the split by its own mechanism, which keeps the dependence between recordings of a speaker;
the papers' t-test, over speakers, is reported as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lightning_mia.evaluation.evaluate import Redraw
from lightning_mia.evaluation.scores import Scores
from lightning_mia.evaluation.settings import ALPHA, EvaluationSettings
from lightning_mia.evaluation.statistics.adjustment import normal_scores
from lightning_mia.evaluation.statistics.auroc import labelled_sums
from lightning_mia.evaluation.statistics.clusters import number_speakers
from lightning_mia.evaluation.statistics.permutation import NullDistribution, p_value
from lightning_mia.evaluation.statistics.power import POWER

N_SUBSAMPLES = 50  # per size
N_SUBSAMPLE_REDRAWS = 199  # per subsample: its p-value is at least .005
GRID = 2.0**-30  # step of rounded normal scores: sums of a million are exact, and so independent of their order
MIN_SIZE, MAX_SIZE = 2, 1000  # of each set; beyond, only the full sets are tested


@dataclass(frozen=True)
class PAtSize:
    """p-values of suspect sets of one size.

    Each set is compared with a validation set of the same size.

    Attributes:
        size: units of the suspect set.
        median_p: median p-value over random subsamples.
        found: share of the subsamples with a p-value below .05.

    Example:
        >>> p_at_size = PAtSize(45, median_p=0.03, found=0.82)
        >>> f"{p_at_size.found:.0%} of sets of {p_at_size.size} are significant"
        '82% of sets of 45 are significant'
    """

    size: int
    median_p: float
    found: float


@dataclass(frozen=True)
class DatasetInference:
    """Test of the suspect set by one attack's scores.

    Attributes:
        attack: name of the attack.
        level: kind of unit, "utterance" or "speaker".
        access: of the attack.
        two_sided: the sign of the attack's effect is unknown beforehand, and the p-values are two-sided.
        n_suspect: units of the suspect set, the members of the split.
        n_validation: units of the validation set, the non-members of the split.
        difference: mean normal score of the suspect set minus that of the validation set, in standard deviations.
        p_value: by redrawing the split; exact for any dependence between a speaker's recordings.
        p_value_t: of a t-test over speakers, for comparison; NaN with too few speakers.
        by_size: p-values of smaller sets, by ascending size.

    Example:
        >>> by_size = PAtSize(2, 0.4, 0.1), PAtSize(45, 0.03, 0.82), PAtSize(200, 0.001, 1.0)
        >>> inference = DatasetInference("lira", "utterance", "grey-box", False, 200, 200, 0.6, 0.001, 0.01, by_size)
        >>> inference.units_needed  # smallest set with 80 % power
        45
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
        """Smallest sufficient size; None if there is none.

        From this size on, at least 80 % of the subsamples have p < .05.
        """
        needed: int | None = None
        for p_at_size in reversed(self.by_size):
            if p_at_size.found < POWER:
                break
            needed = p_at_size.size
        return needed


def dataset_inference(
    scores: Sequence[Scores], redraw: Redraw, settings: EvaluationSettings, progress: bool = False
) -> list[DatasetInference]:
    """Test a suspect set against a validation set.

    The suspect set contains the members of the split, the validation set the non-members. Subsets of both are tested as
    well.

    Args:
        scores: of attacks on the same units, in the same order; they share subsamples and redraws.
        redraw: redraws the labels of the split.
        settings: of the evaluation; only `n_redraws` and `seed` are used.
        progress: show a progress bar.

    Raises:
        ValueError: the attacks do not have the same units.

    Example:
        >>> units, members = [f"speaker {i}" for i in range(12)], np.tile([True, False], 6)
        >>> scores = Scores("loss", "speaker", "grey-box", False, units, units, members, np.arange(12) + 6 * members)
        >>> def redraw(units, level, n, seed):
        ...     labels = np.tile(np.arange(len(units)) % 2 == 0, (n, 1))
        ...     return np.random.default_rng(seed).permuted(labels, axis=1)
        >>> (inference,) = dataset_inference([scores], redraw, EvaluationSettings())
        >>> inference.n_suspect, inference.p_value < 0.05
        (6, True)
    """
    from lightning_mia.utilities.progress_bar import tqdm

    first = scores[0]
    if any(not np.array_equal(attack.unit_ids, first.unit_ids) for attack in scores):
        raise ValueError("Expected scores of the same units in the same order")
    values = np.stack([attack.values for attack in scores])  # (attacks, n)
    differences = _differences(first, slice(None), values, redraw, settings.n_redraws, settings.seed)
    sampler, sizes = SubsetSampler(first), _sizes(first)
    two_sided = [attack.two_sided for attack in scores]
    by_size = [
        _at_size(first, values, two_sided, sampler, size, redraw, settings.seed)
        for size in tqdm(sizes, desc="Dataset inference", unit="size", disable=not progress)
    ]  # one list per size, with one entry per attack
    return [
        DatasetInference(
            attack=attack.name,
            level=attack.level,
            access=attack.access,
            two_sided=attack.two_sided,
            n_suspect=attack.n_members,
            n_validation=attack.n_nonmembers,
            difference=float(differences[i, 0]),
            p_value=p_value(NullDistribution(differences[i], attack.two_sided)),
            p_value_t=p_value_over_speakers(attack),
            by_size=tuple(p_values[i] for p_values in by_size),
        )
        for i, attack in enumerate(scores)
    ]


def mean_differences(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Subtract the non-members' mean from the members', for many labellings.

    Args:
        values: (..., n) float64.
        labels: (R, n) bool, one labelling per row.

    Returns:
        (..., R) float64; 0 for a row without members or without non-members.

    >>> mean_differences(np.array([1.0, 2.0, 6.0]), np.array([[True, False, False], [False, True, True]]))
    array([-3.,  3.])
    """
    sums, n_members = labelled_sums(values, labels), labels.sum(axis=1).astype(np.float64)
    n_others = labels.shape[1] - n_members
    both = (n_members > 0) & (n_others > 0)
    rest = values.sum(axis=-1, keepdims=True) - sums
    member_means, other_means = sums / np.maximum(n_members, 1), rest / np.maximum(n_others, 1)
    return np.where(both, member_means - other_means, 0.0)


def p_value_over_speakers(scores: Scores) -> float:
    """Test the difference of means by a t-test over speakers.

    The contributions of each speaker's recordings to the difference are summed; the spread of these sums gives the
    standard error. With equally many recordings per speaker, this is Welch's test of the speakers' means if every
    speaker has only members or only non-members, and the paired test if every speaker has as many members as
    non-members.
    """
    from scipy.stats import t

    speaker, _ = number_speakers(scores.speakers)
    values, members = normal_scores(scores.values), scores.members
    member_mean, other_mean = values[members].mean(), values[~members].mean()
    centred = np.where(members, values - member_mean, other_mean - values)
    unit_contributions = centred / np.where(members, scores.n_members, scores.n_nonmembers)
    contributions = np.bincount(speaker, weights=unit_contributions)  # (S,), their sum is 0
    member_share = np.bincount(speaker, weights=members) / np.bincount(speaker)  # (S,)
    groups = [contributions]
    if np.isin(member_share, (0.0, 1.0)).all():
        groups = [contributions[member_share == share] for share in (1.0, 0.0)]
    if min(len(group) for group in groups) < 2:
        return float("nan")
    variances = np.array([len(group) / (len(group) - 1) * np.square(group).sum() for group in groups])
    if variances.sum() == 0:
        return 1.0
    # Welch and Satterthwaite's degrees of freedom; S − 1 with one group.
    freedom = variances.sum() ** 2 / np.sum(variances**2 / [len(group) - 1 for group in groups])
    statistic = (member_mean - other_mean) / np.sqrt(variances.sum())
    return float(2 * t.sf(abs(statistic), freedom)) if scores.two_sided else float(t.sf(statistic, freedom))


class SubsetSampler:
    """Sampler of suspect and validation sets with matching speakers.

    Args:
        scores: of one attack.

    Example:
        >>> units, speakers = ["a0", "a1", "b0", "b1"], ["a", "a", "b", "b"]
        >>> scores = Scores("loss", "utterance", "grey-box", False, units, speakers, [1, 0, 1, 0], [4, 3, 2, 1])
        >>> SubsetSampler(scores).draw(1, np.random.default_rng(0)).tolist()  # both of one speaker
        [2, 3]
    """

    def __init__(self, scores: Scores) -> None:
        self._speaker, n_speakers = number_speakers(scores.speakers)  # (n,)
        self._suspects, others = np.flatnonzero(scores.members), np.flatnonzero(~scores.members)
        self._others = others[np.argsort(self._speaker[others], kind="stable")]
        self._n_others = np.bincount(self._speaker[others], minlength=n_speakers)  # (S,)
        self._starts = np.cumsum(self._n_others) - self._n_others

    def draw(self, size: int, generator: np.random.Generator) -> np.ndarray:
        """Draw both sets, with matching speakers.

        If the speakers have too few non-members, the validation set is completed from others.

        Args:
            size: units of each set.
            generator: random generator.

        Returns:
            (2 × size,) int, indices of the units, ascending.
        """
        suspects = generator.choice(self._suspects, size, replace=False)
        n_suspects = np.bincount(self._speaker[suspects], minlength=len(self._n_others))  # (S,)
        n_matched = np.minimum(n_suspects, self._n_others)
        matched = np.concatenate(
            [
                self._starts[speaker] + generator.choice(self._n_others[speaker], n_matched[speaker], replace=False)
                for speaker in np.flatnonzero(n_matched)
            ]
            or [np.empty(0, dtype=int)]
        )  # indices among the non-members
        if missing := size - len(matched):
            remaining = np.delete(np.arange(len(self._others)), matched)
            matched = np.append(matched, generator.choice(remaining, missing, replace=False))
        return np.sort(np.append(suspects, self._others[matched]))


def _differences(
    units: Scores, selected: np.ndarray | slice, values: np.ndarray, redraw: Redraw, n_redraws: int, seed: int
) -> np.ndarray:
    """Compute differences of mean normal scores between the sets.

    The first difference is under the observed labels, the others are under redrawn ones.

    Args:
        units: scores of any attack, for its units and labels.
        selected: indices of the units in the sets.
        values: (attacks, n) scores of all units.
        redraw: redraws the labels of the split.
        n_redraws: R.
        seed: of the redraws.

    Returns:
        (attacks, 1 + R) float64.
    """
    redrawn = np.asarray(redraw(units.unit_ids[selected].tolist(), units.level, n_redraws, seed), dtype=bool)
    labels = np.concatenate([units.members[selected][None], redrawn])
    exact = np.round(normal_scores(values[:, selected]) / GRID) * GRID
    return mean_differences(exact, labels)


def _sizes(scores: Scores) -> list[int]:
    """List the sizes of subsets, two per octave.

    They are 2, 3, 4, 6, 8, 11, 16, …, and the size of the smaller set, at most 1000.
    """
    largest = min(scores.n_members, scores.n_nonmembers, MAX_SIZE)
    steps = MIN_SIZE * np.sqrt(2) ** np.arange(64)
    return [*dict.fromkeys(size for size in np.round(steps).astype(int).tolist() if size < largest), largest]


def _at_size(
    units: Scores,
    values: np.ndarray,  # (attacks, n)
    two_sided: Sequence[bool],
    sampler: SubsetSampler,
    size: int,
    redraw: Redraw,
    seed: int,
) -> list[PAtSize]:
    """Test random suspect sets of one size.

    Only the labels of their units are redrawn. Returns one entry per attack.
    """
    generator = np.random.default_rng([seed, size])
    p_values = np.empty((N_SUBSAMPLES, len(values)))
    for subsample in p_values:
        selected = sampler.draw(size, generator)
        redraw_seed = int(generator.integers(2**31))
        differences = _differences(units, selected, values, redraw, N_SUBSAMPLE_REDRAWS, redraw_seed)
        subsample[:] = [p_value(NullDistribution(differences[i], two_sided[i])) for i in range(len(values))]
    return [PAtSize(size, float(np.median(column)), float(np.mean(column < ALPHA))) for column in p_values.T]
