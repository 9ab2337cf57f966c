"""The picture of `edge-rnn data`: a sample of each class, and how much there is of each."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import printable
from edge_runtime.host.optional_packages import needs_extra
from train.data_overview.facts import DataFacts
from train.data_overview.overview import DataOverview
from train.pictures import DPI

MOST_SAMPLES = 16
"""Classes of which a sample is shown; more would be too small to see."""

MOST_CURVES = 8
"""With more features, a sample is a map of colors and not curves."""

MOST_TICKS = 30
"""Names along an axis; with more of them every second or third one is written."""

MOST_NUMBERS = 80
"""Fields of the map of counts in which the count is written."""

LONGEST_NAME = 22
"""Characters of a name beside an axis."""


def draw(overview: DataOverview, path: Path) -> None:
    """A PNG with two parts. Features are standardized, as for training. Raises MissingExtraError
    without matplotlib."""
    with needs_extra("workstation", "matplotlib", "a picture of a data set"):
        from matplotlib.figure import Figure
    facts = overview.facts
    shown = [index for index, sample in enumerate(overview.samples) if sample is not None]
    shown = shown[:MOST_SAMPLES]
    across = math.ceil(math.sqrt(len(shown) or 1))
    down = math.ceil(len(shown) / across) or 1
    width = 1.4 if facts.image else 2.4
    size = (width * across + _counts_width(facts), max(4.0, 1.7 * down, 0.28 * len(facts.classes) + 1.6))
    figure = Figure(figsize=size, layout="constrained")
    parts: Any = figure.subfigures(1, 2, width_ratios=(across * width, _counts_width(facts)))
    left, right = parts
    _draw_samples(left, overview, shown, (down, across))
    _draw_counts(right.subplots(), facts)
    figure.savefig(path, dpi=DPI)


def _counts_width(facts: DataFacts) -> float:
    return max(4.5, min(12.0, 0.45 * min(len(facts.groups), MOST_TICKS) + 2.5))


def _draw_samples(figure: Any, overview: DataOverview, shown: list[int], shape: tuple[int, int]) -> None:
    facts = overview.facts
    more = sum(sample is not None for sample in overview.samples) - len(shown)
    title = "One sample of each class" + (f" (and {more} more classes)" if more else "")
    figure.suptitle(title, fontsize="medium")
    axes = figure.subplots(*shape, squeeze=False, sharey=not facts.image).ravel()
    for axis in axes[len(shown) :]:
        axis.set_axis_off()
    for axis, index in zip(axes, shown):
        sample = overview.samples[index]
        assert sample is not None
        axis.set_title(_short(facts.classes[index].label), fontsize="small")
        axis.tick_params(labelsize="x-small")
        _draw_sample(axis, sample, facts)
    if not facts.image and 1 < len(facts.features) <= MOST_CURVES and shown:
        names = [_short(one.name) for one in facts.features]
        figure.legend(axes[0].lines, names, loc="outside lower center", ncols=4, fontsize="x-small")
    if not facts.image:
        for axis in axes[max(0, len(shown) - shape[1]) : len(shown)]:
            axis.set_xlabel("row", fontsize="small")
        curves = len(facts.features) <= MOST_CURVES
        figure.supylabel("standardized value" if curves else "feature", fontsize="small")


def _draw_sample(axis: Any, sample: NDArray[Any], facts: DataFacts) -> None:
    if facts.image:
        axis.imshow(sample, cmap="gray", aspect="equal")
        axis.set_xticks([])
        axis.set_yticks([])
        return
    standardized = _standardized(sample, facts)
    if len(facts.features) <= MOST_CURVES:
        axis.plot(standardized, linewidth=0.9)
        axis.grid(alpha=0.3)
        return
    axis.imshow(standardized.T, cmap="coolwarm", aspect="auto", vmin=-3, vmax=3, interpolation="nearest")


def _standardized(sample: NDArray[Any], facts: DataFacts) -> NDArray[np.float64]:
    mean = np.asarray([one.mean or 0.0 for one in facts.features])
    std = np.asarray([one.std or 1.0 for one in facts.features])
    return np.asarray((sample - mean) / std, np.float64)


def _draw_counts(axis: Any, facts: DataFacts) -> None:
    unit = "rows" if facts.recordings is not None else "windows"
    labels = [_short(one.label) for one in facts.classes]
    _name_ticks(axis.yaxis, labels)
    if not facts.groups:
        axis.set_title(f"{unit.capitalize()} of each class", fontsize="medium")
        _draw_bars(axis, facts)
        return
    axis.set_title(f"{unit.capitalize()} of each class and group", fontsize="medium")
    counts = np.asarray([group.rows_of_classes for group in facts.groups], np.float64).T
    image = axis.imshow(np.where(counts > 0, counts, np.nan), cmap="YlGnBu", aspect="auto", vmin=0)
    axis.figure.colorbar(image, ax=axis, label=unit)
    if counts.size <= MOST_NUMBERS:
        _write_counts(axis, counts)
    names = [f"{_short(group.name)}{_split_of(group.splits)}" for group in facts.groups]
    _name_ticks(axis.xaxis, names, rotation=90)
    if not all(counts.ravel()):
        axis.set_xlabel("white: none")


def _write_counts(axis: Any, counts: NDArray[np.float64]) -> None:
    for (row, column), count in np.ndenumerate(counts):
        color = "white" if count > counts.max() / 2 else "black"
        axis.text(
            column, row, f"{count:,.0f}", ha="center", va="center", color=color, fontsize="x-small"
        )


def _draw_bars(axis: Any, facts: DataFacts) -> None:
    """The windows by split, where there are any; otherwise the rows."""
    places = np.arange(len(facts.classes))
    axis.invert_yaxis()
    axis.grid(axis="x", alpha=0.3)
    if facts.windows is None:
        axis.barh(places, [one.rows for one in facts.classes])
        axis.set_xlabel("rows")
        return
    axis.set_title("Windows of each class", fontsize="medium")
    start = np.zeros(len(facts.classes))
    for part in facts.windows.splits:
        counts = np.asarray([one.windows[part.name] for one in facts.classes])
        axis.barh(places, counts, left=start, label=part.name)
        start += counts
    axis.set_xlabel("windows")
    axis.figure.legend(loc="outside lower center", ncols=3, fontsize="small")


def _name_ticks(axis: Any, names: list[str], rotation: float = 0) -> None:
    every = max(1, math.ceil(len(names) / MOST_TICKS))
    axis.set_ticks(range(0, len(names), every), names[::every], fontsize="small", rotation=rotation)


def _split_of(splits: tuple[str, ...]) -> str:
    return "" if splits in ((), ("train",)) else f" ({'+'.join(splits)})"


def _short(name: str) -> str:
    """A name as text: without control characters, not too long, and no formula."""
    text = printable(name)
    if len(text) > LONGEST_NAME:
        text = text[: LONGEST_NAME - 1] + "\N{HORIZONTAL ELLIPSIS}"
    return text.replace("$", r"\$")
