"""Number formats of the report; None becomes a dash."""

import re

from lightning_mia.evaluation.results import NO_DIFFERENCE_INTERVAL, Interval, has_interval

ABSENT = "–"
NO_INTERVAL = "no interval"


def decimal(value: float | None, places: int = 3) -> str:
    """Format a number with fixed decimals.

    >>> decimal(0.8125), decimal(None), decimal(-0.05, 2)
    ('0.812', '–', '−0.05')
    """
    return ABSENT if value is None else f"{_rounded(value, places):.{places}f}".replace("-", "−")


def signed(value: float | None, places: int = 3) -> str:
    """Format a difference with its sign.

    >>> signed(0.25), signed(-0.25), signed(-0.0001)
    ('+0.250', '−0.250', '+0.000')
    """
    return ABSENT if value is None else f"{_rounded(value, places):+.{places}f}".replace("-", "−")


def _rounded(value: float, places: int) -> float:
    return round(value, places) + 0.0  # -0.0 becomes 0.0


def interval(bounds: Interval | None, places: int = 3) -> str:
    """Format an interval.

    >>> interval((0.5, 0.75), 2), interval((0.0, 1.0))
    ('0.50 to 0.75', 'no interval')
    """
    if bounds is None:
        return ABSENT
    return f"{decimal(bounds[0], places)} to {decimal(bounds[1], places)}" if has_interval(bounds) else NO_INTERVAL


def interval_clause(bounds: Interval, places: int = 3) -> str:
    """Format an interval in a sentence.

    >>> interval_clause((0.5, 0.75)), interval_clause((0.0, 1.0))
    ('95 % interval 0.500 to 0.750', 'no interval')
    """
    text = interval(bounds, places)
    return text if text == NO_INTERVAL else f"95 % interval {text}"


def signed_interval(bounds: Interval) -> str:
    """Format the interval of a difference.

    >>> signed_interval((-0.1, 0.2)), signed_interval((-1.0, 1.0))
    ('−0.100 to +0.200', 'no interval')
    """
    return f"{signed(bounds[0])} to {signed(bounds[1])}" if has_interval(bounds) else NO_INTERVAL


def lower_bound(value: float | None, places: int = 3) -> str:
    """Format the lower bound of a difference.

    >>> lower_bound(0.125), lower_bound(-1.0)
    ('≥ +0.125', 'no interval')
    """
    return NO_INTERVAL if value == NO_DIFFERENCE_INTERVAL[0] else f"≥ {signed(value, places)}"


def percent(value: float | None) -> str:
    """Format a rate as a percentage, one decimal at most.

    >>> percent(0.31), percent(0.001), percent(0.125)
    ('31 %', '0.1 %', '12.5 %')
    """
    return ABSENT if value is None else f"{round(100 * value, 1):g} %"


def percent_interval(bounds: Interval | None) -> str:
    """Format an interval of rates.

    >>> percent_interval((0.25, 0.385)), percent_interval((0.0, 1.0))
    ('25 to 38.5 %', 'no interval')
    """
    if bounds is None:
        return ABSENT
    return f"{percent(bounds[0])[:-2]} to {percent(bounds[1])}" if has_interval(bounds) else NO_INTERVAL


def p_value(value: float | None) -> str:
    """Format a p-value with two significant digits.

    >>> p_value(0.0123), p_value(0.2), p_value(1.24e-7)
    ('0.012', '0.20', '1.2 × 10⁻⁷')
    """
    if value is None:
        return ABSENT
    if 0 < value < 5e-4:
        digits, power = f"{value:.1e}".split("e")
        return f"{digits} × 10{str(int(power)).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}"
    return f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def count(value: float | None) -> str:
    """Format a count with thin spaces between thousands.

    >>> count(124000), count(2.5), count(None)
    ('124\\u2009000', '2.5', '–')
    """
    return ABSENT if value is None else f"{round(value, 2):,.10g}".replace(",", "\u2009")


def duration(seconds: float | None) -> str:
    """Format a time span in at most two units.

    >>> duration(3.21), duration(75), duration(7300)
    ('3.2 s', '1 min 15 s', '2 h 1 min')
    """
    if seconds is None:
        return ABSENT
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def of_hundred(rate: float) -> str:
    """Format a rate as a number of 100; below 10 with one decimal.

    >>> of_hundred(0.92), of_hundred(0.015), of_hundred(1.0)
    ('92', '1.5', '100')
    """
    value = 100 * rate
    return f"{value:.0f}" if value >= 9.95 else f"{value:.1f}".removesuffix(".0")


def one_in(rate: float) -> str:
    """Format a false positive rate as a share of 100 or more.

    >>> one_in(0.01), one_in(0.1), one_in(0.001)
    ('1 of 100', '10 of 100', '1 of 1\\u2009000')
    """
    return f"{100 * rate:g} of 100" if rate >= 0.01 else f"1 of {count(round(1 / rate))}"


def with_zeros(text: str) -> str:
    """Write decimals with the zero before the point, as everywhere in the report.

    >>> with_zeros("AUROC .60, p < 0.05; see 3.5 and …")
    'AUROC 0.60, p < 0.05; see 3.5 and …'
    """
    return re.sub(r"(?<![\w.…])\.(?=\d)", "0.", text)
