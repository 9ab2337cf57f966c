"""The picture of a front: accuracy over the file's size and over the cost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from train.pictures import DPI, new_figure

if TYPE_CHECKING:
    from train.sweep.report import Point, SweepReport

FRONT_COLOR, OTHER_COLOR = "#aa3377", "#bbbbbb"


LARGE_SPAN = 4
"""From this ratio of the largest to the smallest value on, an axis is logarithmic."""


def draw_front(report: SweepReport, path: Path) -> None:
    """Write a PNG. Raises MissingExtraError without matplotlib."""
    sizes: dict[str, Callable[[Point], float]] = {"file size, kB": lambda point: point.bytes / 1e3}
    if report.spec.cost == "latency":
        sizes["median latency, us"] = lambda point: point.cost or 0.0
    elif report.spec.cost == "instructions":
        sizes["thousand instructions"] = lambda point: (point.cost or 0.0) / 1e3
    figure, axes = new_figure(1, len(sizes), (5.5 * len(sizes), 4.5))
    for axis, (label, horizontal) in zip(axes if len(sizes) > 1 else [axes], sizes.items()):
        _scatter(axis, report, horizontal)
        axis.set_xlabel(label)
        axis.set_ylabel("accuracy on the validation windows, %")
        axis.grid(alpha=0.3)
    figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9)
    figure.savefig(path, dpi=DPI, format="png")


def _scatter(axis: Any, report: SweepReport, horizontal: Callable[[Point], float]) -> None:
    others = [point for point in report.points if not point.on_front]
    front = report.front
    groups = ((others, 18, OTHER_COLOR, "beaten by another trial"), (front, 34, FRONT_COLOR, "front"))
    for points, size, color, label in groups:
        across, up = list(map(horizontal, points)), [100 * point.accuracy for point in points]
        axis.scatter(across, up, s=size, color=color, label=label)
    for point in front:
        place = (horizontal(point), 100 * point.accuracy)
        axis.annotate(str(point.trial), place, xytext=(5, 4), textcoords="offset points", fontsize=8)
    across = [horizontal(point) for point in report.points]
    if max(across) > LARGE_SPAN * min(across):
        axis.set_xscale("log", subs=[1, 2, 5])
        axis.xaxis.set_major_locator(_ticker().LogLocator(subs=[1, 2, 5]))
        axis.xaxis.set_major_formatter(_ticker().StrMethodFormatter("{x:g}"))
        axis.xaxis.set_minor_formatter(_ticker().NullFormatter())


def _ticker() -> Any:
    from matplotlib import ticker

    return ticker
