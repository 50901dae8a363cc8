"""What a design could have found: the smallest AUROC that becomes the verdict "leak" with 80 % power."""

from collections.abc import Callable

from lightning_mia.evaluation.results import Difference
from lightning_mia.evaluation.statistics.intervals import hanley_mcneil, t_quantile
from lightning_mia.evaluation.statistics.permutation import NullDistribution

POWER = 0.8


def smallest_detectable_auroc(
    critical_value: float,
    null: NullDistribution,
    n_members: int,
    n_nonmembers: int,
    difference: Difference | None = None,
    degrees_of_freedom: int = 0,
) -> float:
    """The smallest AUROC that the verdict would call a leak with 80 % power.

    Args:
        critical_value: standard deviations from chance that a corrected p-value below .05 needs.
        null: AUROCs over the redrawn splits, so that their spread knows of the clusters.
        n_members: member units.
        n_nonmembers: non-member units.
        difference: to the wrong model, where there is one; a leak must clear that bound as well.
        degrees_of_freedom: of the difference's bound.

    Returns:
        That AUROC; 1 where none is large enough. With two conditions each is met with 90 %, so that both are
        met with at least 80 %, whatever their dependence.
    """
    of_each = POWER if difference is None else (1 + POWER) / 2
    needed = null.mean + critical_value * null.standard_deviation
    shrink = _shrinkage(n_members, n_nonmembers)
    by_p_value = _solve(lambda auroc: needed, lambda auroc: null.standard_deviation * shrink(auroc), of_each)
    if difference is None:
        return by_p_value
    quantile = t_quantile(0.975 if null.two_sided else 0.95, degrees_of_freedom)
    at_chance = difference.standard_error

    def of_difference(auroc: float) -> float:
        """Half of its variance is the wrong model's, which stays at chance and does not shrink."""
        return at_chance * float((1 + shrink(auroc) ** 2) / 2) ** 0.5

    return max(by_p_value, _solve(lambda auroc: 0.5 + quantile * of_difference(auroc), of_difference, of_each))


def _shrinkage(n_members: int, n_nonmembers: int) -> Callable[[float], float]:
    """How much less an AUROC strays than at chance: Hanley and McNeil's standard error over that at 0.5."""
    at_chance = hanley_mcneil(0.5, n_members, n_nonmembers)
    return lambda auroc: hanley_mcneil(auroc, n_members, n_nonmembers) / at_chance


def _solve(needed: Callable[[float], float], spread: Callable[[float], float], power: float) -> float:
    """The smallest A in [0.5, 1] with A − z(power) × spread(A) ≥ needed(A), else 1."""
    from scipy.optimize import brentq
    from scipy.stats import norm

    z = float(norm.ppf(power))

    def spare(auroc: float) -> float:
        return auroc - z * spread(auroc) - needed(auroc)

    if not spare(1.0) > 0:  # also where the spread is not known
        return 1.0
    return 0.5 if spare(0.5) >= 0 else float(brentq(spare, 0.5, 1.0))
