"""Confidence intervals of a mean, for example over seeds or folds, and of a share of trials."""

import math
from collections.abc import Sequence


def confidence_half_width(values: Sequence[float]) -> float:
    """Return half the width of the 95% confidence interval of the mean (Student's t); nan for fewer than two values.

    The values are assumed to be normally distributed. Their variance is estimated from the sample.
    """
    from scipy import stats

    if len(values) < 2:
        return math.nan
    return float(stats.sem(values) * stats.t.ppf(0.975, len(values) - 1))


def format_interval(values: Sequence[float], form: str) -> str:
    """Format the mean of `values` with the format string `form`; "" if there are no values.

    For several values, the half-width of the 95% confidence interval of the mean is added, as in `1.0 ± 0.2`.
    """
    if not values:
        return ""
    mean, half_width = sum(values) / len(values), confidence_half_width(values)
    return form.format(mean) + (f" ± {form.format(half_width)}" if math.isfinite(half_width) else "")


def share_interval(successes: int, trials: int) -> tuple[float, float]:
    """Return the 95% confidence interval of the probability of success (Wilson 1927); nan without trials.

    Args:
      successes: number of successful trials.
      trials: number of trials, assumed to be independent.
    """
    from scipy import stats

    if not trials:
        return math.nan, math.nan
    low, high = stats.binomtest(successes, trials).proportion_ci(method="wilson")
    return float(low), float(high)


def format_share(successes: int, trials: int) -> str:
    """Format a share in percent with its 95% confidence interval, as in `80% (58 to 92)`; "" without trials."""
    if not trials:
        return ""
    low, high = share_interval(successes, trials)
    return f"{successes / trials:.0%} ({100 * low:.0f} to {100 * high:.0f})"
