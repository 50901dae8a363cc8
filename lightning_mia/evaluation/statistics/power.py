"""Power of a design: the smallest AUROC that it detects."""

from collections.abc import Callable

from lightning_mia.evaluation.results import Difference
from lightning_mia.evaluation.statistics.intervals import hanley_mcneil
from lightning_mia.evaluation.statistics.permutation import NullDistribution

POWER = 0.8


def smallest_detectable_auroc(
    critical_value: float,
    null: NullDistribution,
    n_members: int,
    n_nonmembers: int,
    difference: Difference | None = None,
    quantile: float = 0.0,
) -> float:
    """Compute the smallest AUROC detected with 80 % power.

    Detected means that the verdict is "leak". With a wrong model there are two conditions, the p-value and the bound of
    the difference. Each holds with probability 90 %, so that both hold with at least 80 %, for any dependence.

    Args:
        critical_value: standard deviations from chance at which the corrected p-value is small enough.
        null: AUROCs over the redrawn splits, whose spread accounts for the clusters.
        n_members: member units.
        n_nonmembers: non-member units.
        difference: from the wrong model; its lower bound must exceed 0 as well; None without a wrong model.
        quantile: of Student's t in that bound.

    Returns:
        The AUROC; 1 if no smaller one is detected.
    """
    single_power = POWER if difference is None else (1 + POWER) / 2
    needed = null.mean + critical_value * null.standard_deviation
    shrink = _shrinkage(n_members, n_nonmembers)
    by_p_value = _solve(lambda auroc: needed, lambda auroc: null.standard_deviation * shrink(auroc), single_power)
    if difference is None:
        return by_p_value
    at_chance = difference.standard_error

    def difference_error(auroc: float) -> float:
        # Half of the variance is the wrong model's, which stays at chance and does not shrink.
        return at_chance * float((1 + shrink(auroc) ** 2) / 2) ** 0.5

    by_difference = _solve(lambda auroc: 0.5 + quantile * difference_error(auroc), difference_error, single_power)
    return max(by_p_value, by_difference)


def _shrinkage(n_members: int, n_nonmembers: int) -> Callable[[float], float]:
    """Return the relative standard error by AUROC.

    It is Hanley and McNeil's, divided by that at chance.
    """
    at_chance = hanley_mcneil(0.5, n_members, n_nonmembers)
    return lambda auroc: hanley_mcneil(auroc, n_members, n_nonmembers) / at_chance


def _solve(needed: Callable[[float], float], spread: Callable[[float], float], power: float) -> float:
    """Find the smallest detectable A in [0.5, 1], else 1.

    It satisfies A − z(power) × spread(A) ≥ needed(A).
    """
    from scipy.optimize import brentq
    from scipy.stats import norm

    z = float(norm.ppf(power))

    def spare(auroc: float) -> float:
        return auroc - z * spread(auroc) - needed(auroc)

    if not spare(1.0) > 0:  # also if the spread is NaN
        return 1.0
    return 0.5 if spare(0.5) >= 0 else float(brentq(spare, 0.5, 1.0))
