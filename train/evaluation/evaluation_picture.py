"""The picture of an evaluation: F1 of the classes, calibration, and accuracy by group."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from train.evaluation.fold_results import CrossValidation
from train.evaluation.metrics import (
    CalibrationMetrics,
    ClassMetrics,
    GroupMetrics,
    GroupSpread,
    Metrics,
    Share,
)
from train.pictures import DPI, new_figure, picture_name, picture_text

BLUE, ORANGE, GREY = "#4477aa", "#cc6633", "#888888"

MOST_BARS = 40
"""Classes or groups that are drawn; the worst ones of more."""

ROW_INCHES = 0.24
"""Inches for a class or a group."""

LEGEND_INCHES = 0.35
"""Inches between a panel and its legend, for the numbers of the axis."""


def plot_metrics(metrics: Metrics, title: str, path: Path) -> None:
    """Write a PNG with two panels, and a third one where the windows have groups."""
    rows = min(max(len(metrics.classes), len(metrics.groups)), MOST_BARS)
    panels = 3 if metrics.groups else 2
    size = (4.6 * panels, max(4.2, ROW_INCHES * rows + 1.4))
    figure, axes = new_figure(1, panels, size)
    _draw_classes(axes[0], metrics.classes)
    _draw_calibration(axes[1], metrics.calibration)
    if metrics.spread is not None:
        draw_groups(axes[2], metrics.groups, metrics.spread, metrics.accuracy)
    figure.suptitle(picture_text(title), fontsize=11)
    figure.savefig(path, dpi=DPI)


def plot_folds(result: CrossValidation, path: Path) -> None:
    """The accuracy of each fold as a PNG and, where the windows have groups, of each group."""
    pooled, folds = result.pooled, result.folds
    panels = 2 if pooled.groups else 1
    rows = min(max(len(folds), len(pooled.groups)), MOST_BARS)
    figure, axes = new_figure(1, panels, (5.2 * panels, max(3.6, ROW_INCHES * rows + 1.6)))
    first = axes[0] if panels == 2 else axes
    draw_shares(first, [fold.name for fold in folds], [fold.metrics.accuracy for fold in folds])
    mean, deviation = result.accuracy, result.standard_deviation["accuracy"]
    first.axvspan(mean - deviation, mean + deviation, color=ORANGE, alpha=0.15)
    first.axvline(mean, color=ORANGE, linewidth=1.2, label="mean and standard deviation of the folds")
    first.set_title("accuracy by fold, 95 % intervals")
    legend_below(first)
    if pooled.spread is not None:
        draw_groups(axes[1], pooled.groups, pooled.spread, pooled.accuracy)
    title = f"{len(folds)} folds of {result.dataset}: mean accuracy {100 * mean:.2f} %"
    figure.suptitle(picture_text(title), fontsize=11)
    figure.savefig(path, dpi=DPI)


def _draw_classes(axis: Any, classes: tuple[ClassMetrics, ...]) -> None:
    """F1 as a bar, with precision and recall as marks on it."""
    shown, title = list(classes), "classes"
    if len(classes) > MOST_BARS:
        shown = sorted(classes, key=lambda item: item.f1 or 0.0)[:MOST_BARS]
        title = f"the {MOST_BARS} classes with the lowest F1, of {len(classes)}"
    places = range(len(shown))
    axis.barh(places, [item.f1 or 0.0 for item in shown], 0.7, color=BLUE, alpha=0.55, label="F1")
    for name, mark in (("precision", "|"), ("recall", "x")):
        known = [(getattr(item, name), place) for place, item in zip(places, shown)]
        points = [point for point in known if point[0] is not None]
        axis.plot(*zip(*points), mark, color="black", markersize=6, label=name)
    _named_rows(axis, [picture_name(item.label) for item in shown])
    axis.set(xlim=(0, 1.02), title=title)
    legend_below(axis)


def _draw_calibration(axis: Any, calibration: CalibrationMetrics) -> None:
    """Accuracy over probability. On the diagonal a probability means what it says."""
    bins = [item for item in calibration.bins if item.windows]
    width = calibration.bins[0].high
    most = max(item.windows for item in bins)
    axis.plot((0, 1), (0, 1), color=GREY, linestyle=":", linewidth=1.2)
    axis.bar(
        [item.low for item in bins],
        [item.windows / most for item in bins],
        width,
        align="edge",
        color=GREY,
        alpha=0.25,
        label=f"windows (highest: {most:,})",
    )
    points = ([item.probability for item in bins], [item.accuracy for item in bins])
    axis.plot(*points, color=BLUE, linewidth=1, alpha=0.5)
    areas = [8 + 80 * item.windows / most for item in bins]  # of few windows little is known
    axis.scatter(*points, areas, color=BLUE, zorder=3, label="accuracy")
    axis.set(xlim=(0, 1), ylim=(0, 1.02))
    axis.set_title(f"accuracy by probability, calibration error {calibration.expected_error:.3f}")
    axis.grid(alpha=0.3)
    legend_below(axis)


def draw_groups(
    axis: Any, groups: tuple[GroupMetrics, ...], spread: GroupSpread, accuracy: Share
) -> None:
    """The accuracy of each group with its interval, the worst first, and that of all windows."""
    shown, title = groups[:MOST_BARS], "accuracy by group, 95 % intervals"
    if len(groups) > MOST_BARS:
        title = f"the {MOST_BARS} worst groups of {len(groups)}"
    draw_shares(axis, [picture_name(item.group) for item in shown], [item.share for item in shown])
    axis.axvspan(accuracy.low, accuracy.high, color=BLUE, alpha=0.2, label="all windows, 95 %")
    axis.axvline(spread.mean, color=ORANGE, linewidth=1.2, label="mean of the groups")
    axis.set_title(title)
    legend_below(axis)


def draw_shares(axis: Any, names: list[str], shares: list[Share]) -> None:
    """Accuracies with their intervals, one below the other."""
    values = [share.value for share in shares]
    sides = (
        [share.value - share.low for share in shares],
        [share.high - share.value for share in shares],
    )
    places = range(len(shares))
    axis.errorbar(values, places, xerr=sides, fmt="o", color="black", markersize=4, capsize=2)
    _named_rows(axis, names)
    axis.set(xlim=(min(0.5, *(share.low for share in shares)) - 0.02, 1.02))


def legend_below(axis: Any) -> None:
    """The legend under the panel, where it hides nothing."""
    below = -LEGEND_INCHES / axis.figure.get_size_inches()[1]
    axis.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, below), ncols=3, frameon=False)


def _named_rows(axis: Any, names: list[str]) -> None:
    axis.set_yticks(range(len(names)), names, fontsize=8)
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.grid(axis="x", alpha=0.3)
