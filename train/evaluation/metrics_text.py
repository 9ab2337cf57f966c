"""The figures of a classifier as tables for a terminal, in at most 105 columns, whatever the labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from train.evaluation.metrics import (
    CalibrationMetrics,
    ClassMetrics,
    GroupMetrics,
    GroupSpread,
    Metrics,
    Share,
)
from train.pictures import short_name

TABLE_WIDTH = 105
MOST_TABLE_ROWS = 20
"""Of groups, of confusions, and of classes where there are more than MOST_CLASSES."""
MOST_CLASSES = 40
UNDEFINED = "-"

SPREAD_LINES = (
    "Windows of one group are alike, so the interval over all windows is too narrow for a new group.",
    "The spread of the groups shows what to expect there.",
)


def metrics_lines(metrics: Metrics, split: str, rest: str) -> list[str]:
    """Every table. `split`: what the windows are. `rest`: the file that has what a table leaves out."""
    share = metrics.accuracy
    blocks = [
        [
            f"{split} accuracy: {100 * share.value:.2f} % of {share.windows:,} windows "
            f"(95 % interval {interval_text(share)} %)",
            f"balanced accuracy: {score_text(metrics.balanced_accuracy)}   "
            f"macro F1: {score_text(metrics.macro_f1)}",
        ],
        class_lines(metrics.classes, rest),
        group_lines(metrics.groups, metrics.spread, rest),
        confusion_lines(metrics, rest),
        calibration_lines(metrics.calibration, share),
    ]
    return [line for block in blocks for line in (*block, "")][:-1]


def class_lines(classes: Sequence[ClassMetrics], rest: str) -> list[str]:
    """Precision, recall, F1 and windows of each class; of many classes those with the lowest F1."""
    shown, title = list(classes), "classes"
    if len(classes) > MOST_CLASSES:
        known = [item for item in classes if item.f1 is not None]
        shown = sorted(known, key=lambda item: item.f1 or 0.0)[:MOST_TABLE_ROWS]
        title = "classes with the lowest F1"
    rows = [
        (
            short_name(item.label),
            *map(score_text, (item.precision, item.recall, item.f1)),
            f"{item.windows:,}",
        )
        for item in shown
    ]
    table = table_lines((title, "precision", "recall", "F1", "windows"), rows)
    return [*table, *_left_out(len(classes) - len(shown), "class", "classes", rest)]


def group_lines(groups: Sequence[GroupMetrics], spread: GroupSpread | None, rest: str) -> list[str]:
    """The accuracy of each group, the worst first, and what the groups have in common."""
    if spread is None:
        return ["accuracy by group: not known, as the windows of the run have no groups"]
    rows = [
        (
            short_name(item.group),
            percent_text(item.share.value),
            interval_text(item.share),
            f"{item.share.windows:,}",
        )
        for item in groups[:MOST_TABLE_ROWS]
    ]
    table = table_lines(("groups, worst first", "accuracy %", "95 % interval", "windows"), rows)
    return [
        *table,
        *_left_out(len(groups) - len(rows), "group", "groups", rest),
        spread_text(spread),
        *(SPREAD_LINES if spread.groups > 1 else SPREAD_LINES[:1]),
    ]


def spread_text(spread: GroupSpread) -> str:
    """The groups in one line."""
    if spread.standard_deviation is None:
        return "one group: how far groups differ is not known"
    return (
        f"mean of {spread.groups} groups: {percent_text(spread.mean)} %, "
        f"standard deviation {percent_text(spread.standard_deviation)}, "
        f"worst {percent_text(spread.worst)}, best {percent_text(spread.best)}"
    )


def confusion_lines(metrics: Metrics, rest: str) -> list[str]:
    """The confusion matrix; of many classes the pairs that are confused most."""
    labels = [short_name(label) for label in metrics.labels]
    cell = max(len(f"{metrics.confusion.max():,}"), 2) + 2
    first = max(map(len, labels))
    heads = labels
    if first + max(cell, first + 2) * len(labels) > TABLE_WIDTH:
        heads = [str(k) for k in range(1, len(labels) + 1)]
        labels = [f"{head} {label}" for head, label in zip(heads, labels)]
        first = max(map(len, labels))
    cell = max(cell, max(map(len, heads)) + 2)
    if first + cell * len(labels) > TABLE_WIDTH:
        return _confused_pairs(metrics, rest)
    return [
        "confusion matrix (rows: actual, columns: predicted)",
        " " * first + "".join(f"{head:>{cell}}" for head in heads),
        *(
            f"{label:<{first}}" + "".join(f"{count:>{cell},}" for count in row)
            for label, row in zip(labels, metrics.confusion)
        ),
    ]


def _confused_pairs(metrics: Metrics, rest: str) -> list[str]:
    wrong = metrics.confusion.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[: np.count_nonzero(wrong)]
    pairs = [divmod(int(place), len(wrong)) for place in order]
    rows = [
        (
            short_name(metrics.labels[actual]),
            short_name(metrics.labels[predicted]),
            f"{wrong[actual, predicted]:,}",
            f"{metrics.classes[actual].windows:,}",
        )
        for actual, predicted in pairs[:MOST_TABLE_ROWS]
    ]
    heads = ("most frequent confusions: actual", "predicted", "windows", "of the class")
    if not rows:
        return ["confusion matrix: no window is in the wrong class"]
    return [
        *table_lines(heads, rows, left=2),
        *_left_out(len(pairs) - len(rows), "pair", "pairs", rest),
    ]


def calibration_lines(calibration: CalibrationMetrics, accuracy: Share) -> list[str]:
    """The expected calibration error and the bins that hold windows."""
    tendency = "overconfident" if calibration.probability > accuracy.value else "underconfident"
    rows = [
        (
            f"{item.low:.2f} to {item.high:.2f}",
            score_text(item.probability),
            score_text(item.accuracy),
            f"{item.windows:,}",
        )
        for item in calibration.bins
        if item.windows
    ]
    return [
        f"expected calibration error: {score_text(calibration.expected_error)} ({tendency}: "
        f"mean probability {score_text(calibration.probability)}, "
        f"accuracy {score_text(accuracy.value)})",
        *table_lines(("probabilities", "mean", "accuracy", "windows"), rows),
    ]


def table_lines(heads: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> list[str]:
    """Columns under their heads: the first `left` ones to the left, all others to the right."""
    lines = [tuple(heads), *map(tuple, rows)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(heads))]
    return [
        "  ".join(
            cell.ljust(width) if k < left else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(line, widths))
        ).rstrip()
        for line in lines
    ]


def score_text(value: float | None) -> str:
    """0 to 1 with three decimals."""
    return UNDEFINED if value is None else f"{value:.3f}"


def percent_text(value: float) -> str:
    """0 to 1 as a percentage, without its sign."""
    return f"{100 * value:.2f}"


def interval_text(share: Share) -> str:
    """`96.12 to 98.03`, in percent."""
    return f"{percent_text(share.low)} to {percent_text(share.high)}"


def _left_out(count: int, one: str, many: str, rest: str) -> list[str]:
    return [f"... and {count:,} more {one if count == 1 else many}, in {rest}"] if count else []
