"""What a converted model costs: its file's size, and its latency here or its instructions."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from edge_runtime.errors import DataError, InputError
from edge_runtime.host.child_process import run_module

LATENCY_SECONDS = 1.0

COST_UNITS = {"latency": "us", "instructions": "instructions", "size": "bytes"}
"""Cost -> its unit."""

_COMPILERS = ("gcc", "cc", "clang")


def check_tools(cost: str, where: str) -> None:
    """Raises InputError, which begins with `where`, without the tools that count instructions."""
    if cost != "instructions":
        return
    if shutil.which("valgrind") is None:
        missing = "valgrind"
    elif not any(map(shutil.which, _COMPILERS)):
        missing = "a C compiler"
    else:
        return
    raise InputError(
        f"{where}: instructions are counted with {missing}, which is not installed here. Install it, or "
        "choose latency or size."
    )


def measure_cost(cost: str, run: Path, model: Path) -> tuple[float | None, dict[str, Any]]:
    """The value to minimize, None for `size`, and what else is known about it.

    `run`: the run directory that `model`, the converted file, comes from. Raises DataError.
    """
    if cost == "latency":
        return _latency(model), {}
    if cost == "instructions":
        return _instructions(run, model)
    return None, {}


def _latency(model: Path) -> float:
    """The median latency of one prediction in microseconds, in a process of its own, warmed up."""
    from functools import partial

    from edge_runtime.bench.child_session import open_session
    from edge_runtime.bench.measure import steady

    opener = partial(open_session, options={"engine": "auto", "threads": 1})
    latencies, _, _ = steady([str(model)], LATENCY_SECONDS, opener)
    return latencies[0].p50


def _instructions(run: Path, model: Path) -> tuple[float, dict[str, Any]]:
    """Instructions of one inference of the exported C, and the misses of the caches, without which they
    mislead. `edge-rnn parity` counts both."""
    record = model.with_suffix(".parity.json")
    ending = run_module("edge_runtime", "parity", str(run), str(model), "--json", str(record))
    if not record.is_file():
        raise DataError(f"the instructions cannot be counted ({ending}).")
    sizes = json.loads(record.read_text("utf-8"))["models"][0]["sizes"]
    found = sizes["cost"]
    if found is None:
        raise DataError(f"the instructions cannot be counted ({sizes['not_measured'].get('cost')}).")
    return float(found["instructions"]), {
        key: found[key] for key in ("l1_misses", "last_level_misses", "how")
    }
