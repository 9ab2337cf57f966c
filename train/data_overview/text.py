"""The report of `edge-rnn data` for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edge_runtime.errors import printable
from train.data_overview.facts import DataFacts, RecordingFacts, WindowFacts

MOST_ROWS = 30
"""Lines of a table; the rest is in the JSON."""

EVEN = 0.001
"""Steps in time are even if 90 % of them differ by less than this, as a part of the median step."""

Cell = str


def report(facts: DataFacts) -> str:
    """All that is known, the warnings last. Names are printed without control characters."""
    parts = [_headline(facts)]
    parts.append(_table(*_class_table(facts)))
    if facts.groups:
        parts.append(_table(*_group_table(facts)))
    if not facts.image:
        parts.append(_table(*_feature_table(facts)))
    parts.append("\n".join(_lines(facts)))
    if facts.warnings:
        parts.append("\n".join(f"Warning: {sentence}" for sentence in facts.warnings))
    if facts.refusal is not None:
        parts.append(f"edge-rnn train would stop here: {facts.refusal}")
    return printable_lines("\n\n".join(parts))


def printable_lines(text: str) -> str:
    """`text` with the control characters in its lines as Python writes them."""
    return "\n".join(printable(line) for line in text.split("\n"))


def duration(seconds: float | None) -> str:
    """Rounded, in the unit that fits; empty for None."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.4g} s"
    minutes = round(seconds) // 60
    if minutes < 60:
        return f"{minutes} min {round(seconds) % 60} s"
    return f"{minutes // 60} h {minutes % 60} min"


def _headline(facts: DataFacts) -> str:
    names = _counted(len(facts.classes), "class", "classes")
    features = _counted(len(facts.features), "feature")
    found = facts.recordings
    if found is None:
        count = facts.windows.count if facts.windows else 0
        return f"{facts.name}: {_counted(count, 'window')}, {names}, {features}"
    of = f" of {_counted(len(facts.groups), 'group')}" if facts.groups else ""
    length = f", {duration(found.seconds)}" if found.seconds else ""
    rows = _counted(found.rows, "row")
    return f"{facts.name}: {_counted(found.count, 'recording')}{of}, {names}, {features}, {rows}{length}"


def _counted(count: int, one: str, many: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def _class_table(facts: DataFacts) -> tuple[list[Cell], list[list[Cell]]]:
    columns: dict[str, list[Cell]] = {"class": [one.label for one in facts.classes]}
    found = facts.recordings
    if found is not None:
        columns["recordings"] = [f"{one.recordings:,}" for one in facts.classes]
        columns["rows"] = [f"{one.rows:,}" for one in facts.classes]
        if found.seconds is not None:
            columns["duration"] = [duration(one.seconds or 0.0) for one in facts.classes]
    if facts.groups:
        columns["groups"] = [f"{count:,}" for count in _groups_of_classes(facts)]
    if facts.windows is not None:
        columns["windows"] = [f"{sum(one.windows.values()):,}" for one in facts.classes]
        for part in facts.windows.splits:
            columns[part.name] = [f"{one.windows[part.name]:,}" for one in facts.classes]
    return list(columns), [list(row) for row in zip(*columns.values())]


def _groups_of_classes(facts: DataFacts) -> list[int]:
    counts = [group.rows_of_classes for group in facts.groups]
    return [sum(count[index] > 0 for count in counts) for index in range(len(facts.classes))]


def _group_table(facts: DataFacts) -> tuple[list[Cell], list[list[Cell]]]:
    recorded = facts.recordings is not None
    heads = ["group", *(["recordings", "rows"] if recorded else ["windows"]), "classes", "split"]
    rows = []
    for group in facts.groups:
        counts = [f"{group.rows:,}", f"{sum(n > 0 for n in group.rows_of_classes):,}"]
        start = [f"{group.recordings:,}"] if recorded else []
        rows.append([group.name, *start, *counts, ", ".join(group.splits) or "-"])
    return heads, rows


def _feature_table(facts: DataFacts) -> tuple[list[Cell], list[list[Cell]]]:
    heads = ["feature", "minimum", "maximum", "mean", "std", "missing"]
    rows = []
    for one in facts.features:
        numbers = (one.minimum, one.maximum, one.mean, one.std)
        shown = ["-" if number is None else f"{number:.4g}" for number in numbers]
        rows.append([one.name, *shown, f"{one.missing:,}"])
    return heads, rows


def _table(heads: list[Cell], rows: Sequence[list[Cell]]) -> str:
    """Columns of equal width: the first one and words to the left, numbers to the right."""
    shown = [heads, *rows[:MOST_ROWS]]
    widths = [max(len(row[column]) for row in shown) for column in range(len(heads))]
    left = [heads[column] in ("split",) or column == 0 for column in range(len(heads))]
    lines = [
        "  ".join(
            cell.ljust(width) if to_left else cell.rjust(width)
            for cell, width, to_left in zip(row, widths, left)
        ).rstrip()
        for row in shown
    ]
    if len(rows) > MOST_ROWS:
        lines.append(f"... and {len(rows) - MOST_ROWS:,} more (--json lists all)")
    return "\n".join(lines)


def _lines(facts: DataFacts) -> Iterator[str]:
    if facts.image:
        low = min(one.minimum for one in facts.features if one.minimum is not None)
        high = max(one.maximum for one in facts.features if one.maximum is not None)
        yield f"Pixels: {low:.4g} to {high:.4g}"
    if facts.recordings is not None:
        yield from _recording_lines(facts.recordings)
    if facts.windows is not None:
        yield from _window_lines(facts.windows)


def _recording_lines(found: RecordingFacts) -> Iterator[str]:
    if found.shortest == found.longest:
        yield f"Rows of a recording: {found.longest:,} in each"
    else:
        lengths = f"{found.shortest:,} to {found.longest:,}, median {found.median:,.10g}"
        yield f"Rows of a recording: {lengths}"
    if found.rate is None:
        yield "Rate: unknown, as there are no times"
        return
    rate = found.rate
    between = ""
    if rate.fastest_hz > rate.slowest_hz * 1.0005:
        between = f" ({rate.slowest_hz:.4g} to {rate.fastest_hz:.4g} by recording)"
    steps = f"90 % of the steps in time are {rate.step_low:.3g} to {rate.step_high:.3g} times the median"
    if rate.step_high - rate.step_low < EVEN:
        steps = "even steps"
    yield f"Rate: {rate.median_hz:.4g} rows per second{between}; {steps}"
    gaps = f"{found.gaps.count:,}, the longest of {duration(found.gaps.longest_seconds)}"
    yield f"Gaps: {gaps if found.gaps.count else 'none'}"


def _window_lines(windows: WindowFacts) -> Iterator[str]:
    shape = f"{windows.steps:,} x {windows.features:,} ({windows.dtype})"
    yield f"Windows: {windows.count:,} of {shape}"
    method = "" if windows.method is None else f", by {windows.method}"
    if windows.method == "given":
        method = ", as given"
    counts = ", ".join(f"{split.name} {split.windows:,}" for split in windows.splits)
    yield f"Split{method}: {counts}"
    for note in windows.notes:
        yield f"Note: {note}"
