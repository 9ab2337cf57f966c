"""Limits on a record of `edge-rnn parity`, and a message that says which of them it breaks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convert.evidence.record import EngineRun, Evidence, ModelRecord, ResultRecord

MOST_WINDOWS = 10
"""Windows with different classes that a message names."""


@dataclass(frozen=True)
class Limits:
    """What a team allows; None: anything."""

    min_agreement: float | None = None
    max_accuracy_loss: float | None = None
    max_logit_difference: float | None = None
    min_group_agreement: float | None = None
    max_normalized_error: float | None = None
    max_broken: int | None = None


def assert_parity(
    evidence: Evidence,
    *,
    min_agreement: float | None = None,
    max_accuracy_loss: float | None = None,
    max_logit_difference: float | None = None,
    min_group_agreement: float | None = None,
    max_normalized_error: float | None = None,
    max_broken: int | None = None,
    strict: bool = False,
) -> None:
    """Assert that the model keeps these limits in each engine of its target.

    Without `min_agreement` and `max_normalized_error` it must keep the budget in its own file.

    `min_agreement`: smallest fraction of windows, 0 to 1, that get the reference's class;
    `min_group_agreement`: the same for each group of the data.
    `max_accuracy_loss`: by how much less of the windows, 0 to 1, the model may get the true class.
    `max_logit_difference`: largest absolute difference of one logit.
    `max_normalized_error`: of a regression or an embedding, in units of the outputs' spread.
    `max_broken`: windows that were right in the baseline and are wrong now.
    `strict`: it must keep its own budget in any case, with enough windows to prove it.

    Raises AssertionError that names each limit, the engine and the windows. A limit on something that
    the record does not hold, such as groups, is broken.
    """
    __tracebackhide__ = True  # pytest then shows the line of the test
    limits = Limits(
        min_agreement,
        max_accuracy_loss,
        max_logit_difference,
        min_group_agreement,
        max_normalized_error,
        max_broken,
    )
    lines = [line for model in evidence.models for line in _broken(evidence, model, limits, strict)]
    if lines:
        more = "pytest --edge-rnn-report report.html shows every window and figure."
        raise AssertionError("\n  ".join(["the model does not keep its limits:", *lines, more]))


def _broken(evidence: Evidence, model: ModelRecord, limits: Limits, strict: bool) -> Iterator[str]:
    """A line for each limit that a model breaks, and for the windows in question."""
    own_budget = limits.min_agreement is None and limits.max_normalized_error is None
    failing = {"not run"}
    failing |= {"refuted"} if own_budget or strict else set()
    failing |= {"not refuted"} if strict else set()
    if model.verdict in failing:
        yield f"{model.name} is {model.verdict}: {model.reason}"
    if limits.max_broken is not None:
        yield from _broken_since(model, limits.max_broken)
    named = set()
    for run in model.runs:
        if run.result is None or not run.required:
            continue
        result = model.results[run.result]
        lines = list(_by_engine(evidence, run, result, limits))
        yield from lines
        if lines and result.disagreements and run.result not in named:
            named.add(run.result)
            yield f"{run.name}: {_windows(evidence, result)}"


def _by_engine(
    evidence: Evidence, run: EngineRun, result: ResultRecord, limits: Limits
) -> Iterator[str]:
    accuracy, reference = result.accuracy, evidence.reference.accuracy
    lost = reference.share - accuracy.share if accuracy and reference else None
    agreement = result.agreement.share if result.agreement else None
    normalized = result.numbers.normalized if result.numbers else None
    figures = (
        ("agreement", agreement, limits.min_agreement, True),
        ("loss of accuracy", lost, limits.max_accuracy_loss, False),
        ("largest logit error", result.logit_errors.max, limits.max_logit_difference, False),
        ("normalized error", normalized, limits.max_normalized_error, False),
    )
    for name, value, limit, at_least in figures:
        yield from _compared(f"{run.name}: {name}", value, limit, at_least=at_least)
    if limits.min_group_agreement is None:
        return
    if not result.groups:
        yield from _compared(f"{run.name}: agreement by group", None, limits.min_group_agreement, True)
    for group in result.groups:
        name = f"{run.name}: agreement of group {group.group} ({group.windows:,} windows)"
        yield from _compared(name, group.agreement.share, limits.min_group_agreement, at_least=True)


def _compared(name: str, value: float | None, limit: float | None, at_least: bool) -> Iterator[str]:
    """The sentence if `value` is beyond `limit`. NaN is."""
    if limit is None:
        return
    wanted = f"at {'least' if at_least else 'most'} {limit:g} wanted"
    if value is None:
        yield f"{name} is not in the record, {wanted}"
    elif not (value >= limit if at_least else value <= limit):
        yield f"{name} is {value:.6g}, {wanted}"


def _broken_since(model: ModelRecord, limit: int) -> Iterator[str]:
    baseline = model.baseline
    if baseline is None or baseline.incomparable:
        why = baseline.incomparable if baseline else "There is no --edge-rnn-baseline."
        yield f"{model.name}: broken windows are not in the record, at most {limit} wanted. {why}"
        return
    for item in baseline.differences:
        if len(item.broken) > limit:
            places = ", ".join(str(changed.window) for changed in item.broken[:MOST_WINDOWS])
            name = ", ".join(item.runs)
            yield (
                f"{name}: {len(item.broken):,} windows were right in {baseline.name} and are wrong "
                f"now, at most {limit} wanted: {places}"
            )


def _windows(evidence: Evidence, result: ResultRecord) -> str:
    labels = evidence.reference.labels
    shown = [
        f"{item.window} ({labels[item.reference]} -> {labels[item.model]}"
        + (")" if item.truth is None else f", truly {labels[item.truth]})")
        for item in result.disagreements[:MOST_WINDOWS]
    ]
    rest = len(result.disagreements) - len(shown)
    return f"windows with another class: {', '.join(shown)}" + (f" and {rest:,} more" if rest else "")
