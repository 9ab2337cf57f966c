"""The arena of a file for microcontrollers, measured in the engines of its proof.

TFLM keeps all tensors and its own records in one block of memory, the arena, and the program on the
microcontroller has to say how large it is (edge_runtime.engines.micro).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from convert.proof.engines import ProofEngines
from convert.proof.parity import START_SECONDS, failure_of, run_in
from edge_runtime.engines.engine import MICRO_ENGINES
from edge_runtime.errors import EngineError
from edge_runtime.model_file.parity_report import ParityReport

ARENA_CHILD = "edge_runtime.engines.arena_child"

BYTES_A_SECOND = 1000
"""A measurement that is slower has hung. The time of TFLM's memory planner grows with the square of the
operators: an unrolled file of 512 steps, of 515,000 bytes, took 43 s."""


def with_arena(report: ParityReport, model: str | Path, engines: ProofEngines) -> ParityReport:
    """The report with the arena in the line of each engine for microcontrollers that ran the model.

    `engines`: those of the proof. Raises EngineError when the arena cannot be measured.
    """
    pythons = {(item.distribution, item.version): item.python for item in engines.available}
    results = [
        replace(result, arena_bytes=_arena(model, result.engine, pythons[result.engine, result.version]))
        if result.engine in MICRO_ENGINES and result.failure is None
        else result
        for result in report.engines
    ]
    return replace(report, engines=tuple(results))


def _arena(model: str | Path, engine: str, python: str | None) -> int:
    seconds = START_SECONDS + Path(model).stat().st_size / BYTES_A_SECOND
    ending = run_in(python, ARENA_CHILD, str(model), seconds=seconds)
    if not ending:
        raise EngineError(f"{engine}: the arena was not measured: {failure_of(engine, ending, seconds)}")
    return int(ending.output)
