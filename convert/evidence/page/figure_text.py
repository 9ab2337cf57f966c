"""Figures as text: the filters of the templates. `None` is a dash everywhere."""

from __future__ import annotations

from convert.evidence.figures import McNemar, Proportion
from convert.evidence.statistics import SIGNIFICANT_P
from edge_runtime.model_file.binomial import NOT_REFUTED, PROVEN, REFUTED

NONE = "\N{EN DASH}"
_PERCENT = "\N{NO-BREAK SPACE}%"

SMALLEST_P = 0.0001


def percent(share: float | None) -> str:
    """0 to 1 as `99.82 %`, in one piece. Only what is exactly 1 becomes 100 %, and only 0 becomes 0."""
    if share is None:
        return NONE
    if 0 < share < 1:
        return f"{min(max(100 * share, 0.01), 99.99):.2f}{_PERCENT}"
    return f"{100 * share:.0f}{_PERCENT}"


def interval(share: Proportion | None) -> str:
    """`99.60 to 99.91`, in percent."""
    return "" if share is None else f"{100 * share.low:.2f} to {100 * share.high:.2f}"


def thousands(number: int | None) -> str:
    """`10,000`."""
    return NONE if number is None else f"{number:,}"


def figure(number: float | None, digits: int = 3) -> str:
    """A measured number, with so many digits that count."""
    if number is None:
        return NONE
    if number and not 1e-4 <= abs(number) < 1e6:
        return f"{number:.{digits - 1}e}"
    return f"{number:.{digits}g}" if abs(number) < 10**digits else f"{number:,.0f}"


def share_of_one(number: float | None) -> str:
    """A score between 0 and 1, such as F1, with three decimals."""
    return NONE if number is None else f"{number:.3f}"


def signed(number: float | None) -> str:
    """The difference of two scores: `+0.002`."""
    if number is None:
        return NONE
    return "0" if abs(number) < 0.0005 else f"{number:+.3f}".replace("-", "\N{MINUS SIGN}")


def p_value(test: McNemar | None) -> str:
    """`0.42`, or `< 0.0001`."""
    if test is None:
        return NONE
    return f"< {SMALLEST_P}" if test.p_value < SMALLEST_P else f"{test.p_value:.2g}"


def is_significant(test: McNemar | None) -> bool:
    """Whether the test tells the two apart."""
    return test is not None and test.p_value < SIGNIFICANT_P


def sentence(text: str) -> str:
    """With a capital at the start and a full stop at the end."""
    return f"{text[:1].upper()}{text[1:]}" + ("" if text.endswith((".", "!", "?")) else ".")


STATES = {PROVEN: "good", REFUTED: "bad", NOT_REFUTED: "warn", "worse": "bad", "better": "good"}
"""Verdict -> the class of its colour in templates/style.css."""

MARKS = {"good": "✓", "bad": "✗", "warn": "≈", "none": NONE}
"""The sign beside a verdict, for those who do not see its colour."""


def state(verdict: str) -> str:
    """The class of a verdict's colour, or `none`."""
    return STATES.get(verdict, "none")


def mark(verdict: str) -> str:
    """The sign of a verdict."""
    return MARKS[state(verdict)]


FILTERS = {
    function.__name__: function
    for function in (
        percent,
        interval,
        thousands,
        figure,
        share_of_one,
        signed,
        p_value,
        sentence,
        state,
        mark,
    )
}
"""Name in a template -> function."""
