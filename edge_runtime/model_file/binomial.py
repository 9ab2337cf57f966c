"""The exact binomial test of an agreement: what n windows show about the share of all windows.

A proof compares the classes on n windows, and k of them are the same. If these windows are drawn like
those that the model will see, k is binomially distributed with the true share p. The one-sided limits of
C. J. Clopper and E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case of the
binomial" (Biometrika 26, 1934, 404-413) then hold whatever p is: the lower limit is above p in at most
5 % of all proofs, and the upper limit is below it in at most 5 %.

The tails are sums of the binomial's own terms in pure Python, since a device has no SciPy.
"""

from __future__ import annotations

import math

CONFIDENCE = 0.95
"""Confidence of a one-sided limit."""

PROVEN, NOT_REFUTED, REFUTED = "proven", "not refuted", "refuted"

_STEPS = 60
"""Bisections of a limit; the 53 bits of a double need no more."""

_NEGLIGIBLE = 1e-18


def judge(agreeing: int, windows: int, least: float) -> str:
    """Whether `agreeing` of `windows` prove that at least the share `least` agrees.

    PROVEN: the lower limit is at least `least`. REFUTED: the upper limit is below it. Otherwise, and
    without windows, NOT_REFUTED. Needs no bisection: each limit is compared by the tail at `least`.
    """
    if least <= 0:
        return PROVEN
    if agreeing > 0 and at_least(agreeing, windows, least) <= 1 - CONFIDENCE:
        return PROVEN
    if agreeing < windows and at_most(agreeing, windows, least) < 1 - CONFIDENCE:
        return REFUTED
    return NOT_REFUTED


def lower_limit(agreeing: int, windows: int) -> float:
    """The lower one-sided Clopper-Pearson limit: the p with P(X >= agreeing) = 1 - CONFIDENCE."""
    if agreeing <= 0:
        return 0.0
    low, high = 0.0, agreeing / windows
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if at_least(agreeing, windows, middle) <= 1 - CONFIDENCE:
            low = middle
        else:
            high = middle
    return low


def upper_limit(agreeing: int, windows: int) -> float:
    """The upper one-sided Clopper-Pearson limit: the p with P(X <= agreeing) = 1 - CONFIDENCE."""
    return 1 - lower_limit(windows - agreeing, windows)


def windows_to_prove(least: float) -> int | None:
    """The smallest number of windows that prove `least` if all of them agree; None for 1.

    That is the smallest n with least ** n <= 1 - CONFIDENCE.
    """
    if least >= 1:
        return None
    return 1 if least <= 0 else max(1, math.ceil(math.log(1 - CONFIDENCE) / math.log(least)))


def at_least(count: int, trials: int, p: float) -> float:
    """P(X >= count) for a binomial X of `trials` with probability `p`, 0 to 1."""
    return at_most(trials - count, trials, 1 - p)


def at_most(count: int, trials: int, p: float) -> float:
    """P(X <= count) for a binomial X of `trials` with probability `p`, 0 to 1."""
    if count < 0:
        return 0.0
    if count >= trials or p <= 0:
        return 1.0
    if p >= 1:
        return 0.0
    if count <= trials * p:
        return min(1.0, _sum_down(count, trials, p))
    # The smaller tail is summed, as its terms fall from the first one on.
    return max(0.0, 1 - _sum_down(trials - count - 1, trials, 1 - p))


def _sum_down(count: int, trials: int, p: float) -> float:
    """The terms of count, count - 1, ..., 0, while they matter. `count` is at most about trials * p."""
    log_term = (
        math.lgamma(trials + 1)
        - math.lgamma(count + 1)
        - math.lgamma(trials - count + 1)
        + count * math.log(p)
        + (trials - count) * math.log1p(-p)
    )
    term, total = math.exp(log_term), 0.0
    for k in range(count, -1, -1):
        total += term
        if term <= _NEGLIGIBLE * total:
            break
        term *= k / (trials - k + 1) * ((1 - p) / p)
    return total
