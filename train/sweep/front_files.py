"""The files of a sweep's report: front.md, front.json and front.png."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edge_runtime.host.atomic_file import replacing
from train.sweep.cost import COST_UNITS
from train.sweep.picture import draw_front
from train.sweep.report import Point, SweepReport, settings_text

FRONT_TEXT, FRONT_JSON, FRONT_PICTURE = "front.md", "front.json", "front.png"


def write_report(report: SweepReport, folder: Path) -> None:
    """Write front.md, front.json and, when there is a point, front.png into `folder`."""
    with replacing(folder / FRONT_TEXT) as path:
        path.write_text(markdown(report), "utf-8")
    with replacing(folder / FRONT_JSON) as path:
        path.write_text(json.dumps(_to_json(report), indent=2) + "\n", "utf-8")
    if report.points:
        with replacing(folder / FRONT_PICTURE) as path:
            draw_front(report, path)


def markdown(report: SweepReport) -> str:
    """The front as a table, with the commands of each point."""
    unit = COST_UNITS[report.spec.cost]
    costs = {"latency": [unit], "instructions": [unit, "L1 misses", "LL misses"], "size": []}
    head = ["trial", "accuracy", "worst group", "bytes", *costs[report.spec.cost], "settings"]
    rows = [head, ["---"] * len(head), *(_row(point) for point in report.front)]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    for point in report.front:
        lines += ["", f"Trial {point.trial}:", "", *(f"    {line}" for line in point.commands)]
    if report.failed:
        lines += ["", "Failed:", ""]
        lines += [f"- trial {number}: {problem}" for number, problem in report.failed]
    windows = sorted({point.windows for point in report.points})
    counted = " or ".join(f"{count:,}" for count in windows)
    lines[:0] = [f"Accuracy of the converted files on {counted} validation windows.", ""]
    return "\n".join(lines) + "\n"


def _row(point: Point) -> list[str]:
    name, accuracy = point.worst_group or ("", 0.0)
    worst = f"{name}: {100 * accuracy:.2f} %" if name else ""
    cells = [str(point.trial), f"{100 * point.accuracy:.2f} %", worst, f"{point.bytes:,}"]
    if "l1_misses" in point.cost_facts:
        facts = point.cost_facts
        cells += [f"{point.cost:,.0f}", f"{facts['l1_misses']:,}", f"{facts['last_level_misses']:,}"]
    elif point.cost is not None:
        cells.append(f"{point.cost:.1f}")
    return [*cells, settings_text(point.values)]


def _to_json(report: SweepReport) -> dict[str, Any]:
    points = [
        {key: value for key, value in vars(point).items() if key != "on_front"} for point in report.front
    ]
    others = [point.trial for point in report.points if not point.on_front]
    failed = [{"trial": number, "problem": problem} for number, problem in report.failed]
    return {"cost": report.spec.cost, "front": points, "other_trials": others, "failed": failed}
