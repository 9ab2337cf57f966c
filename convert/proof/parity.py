"""The proof: the written file, run in every available engine, against the full model."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import edge_runtime
from convert.proof.engines import ProofEngine, ProofEngines
from convert.proof.environments import without_this_python
from convert.proof.near_ties import near_ties
from convert.proof.output_errors import output_errors
from convert.source_model.source_model import SourceModel
from edge_runtime.errors import EngineError
from edge_runtime.host.child_process import Ending, foreign_command, run_command, run_module
from edge_runtime.model_file.metadata import CLASSIFICATION
from edge_runtime.model_file.parity_figures import Budget, EngineParity
from edge_runtime.model_file.parity_report import ParityReport
from edge_runtime.model_file.read_file import read_model

WORKER = "edge_runtime.inference.worker"
START_SECONDS = 120
SECONDS_A_WINDOW = 1.0
"""An engine that takes longer than this has hung. The slowest one so far takes 0.01 s per window."""

DECIMALS = 6
"""Logit differences are recorded to this many decimals."""


def prove(
    model: str | Path,
    source: SourceModel,
    *,
    budget: Budget,
    engines: ProofEngines,
) -> ParityReport:
    """Run the model file on the held-out windows in every available engine and compare the logits.

    For a fine-tuned file the full model is the one that was fine-tuned, evaluated with its roundings.
    The report also says how often it gives the class of the model before fine-tuning.
    Raises ModelError when the file itself cannot be read; an engine that refuses it or crashes is a
    line of the report.
    """
    _, metadata = read_model(model)
    return ParityReport(
        precision=metadata.precision,
        windows=len(source.held_out),
        split=source.split,
        full_accuracy=_accuracy(source.logits, source),
        budget=budget,
        flatbuffer_bytes=metadata.flatbuffer_bytes,
        engines=tuple(_compare(Path(model), engine, source) for engine in engines.available),
        not_proven=tuple(engine.name for engine in engines.missing),
    )


def _compare(
    model: Path,
    engine: ProofEngine,
    source: SourceModel,
) -> EngineParity:
    name, version, required = engine.distribution, engine.version, engine.required
    full_logits, original = source.logits, source.original
    try:
        logits = engine_logits(model, source.held_out.x, engine=name, python=engine.python)
    except EngineError as error:
        reason = str(error).split(". ")[0]
        return EngineParity(name, version, required, failure=reason)
    if source.task != CLASSIFICATION:
        errors = output_errors(logits, full_logits, source.labels, source.task)
        return EngineParity(name, version, required, errors=errors)
    difference = np.abs(logits.astype(np.float64) - full_logits)
    ties, margin = near_ties(full_logits, logits)
    return EngineParity(
        name,
        version,
        required,
        accuracy=_accuracy(logits, source),
        agreement=_agreement(logits, full_logits),
        max_logit_difference=round(float(difference.max()), DECIMALS),
        mean_logit_difference=round(float(difference.mean()), DECIMALS),
        original_agreement=None if original is None else _agreement(logits, original),
        near_ties=int(ties.sum()),
        near_tie_margin=round(margin, DECIMALS),
    )


def engine_logits(
    model: str | Path,
    windows: NDArray[Any],
    *,
    engine: str,
    kernels: str = "default",
    by_row: bool = False,
    python: str | None = None,
) -> NDArray[np.float32]:
    """Logits `[N, classes]` of raw `windows` `[N, steps, features]`, computed in a child process.

    `by_row`, for step files: the logits after every row, `[N, steps, classes]`.

    A process of its own, because TensorFlow in the same process breaks tflite-runtime (it fails with
    "vector::reserve"), and because an engine that crashes must not take the converter with it.
    `python`: that of an isolated environment, which has the engine in another version. Default: the
    running one. Raises EngineError when the engine refuses the model or crashes.
    """
    with tempfile.TemporaryDirectory() as folder:
        inputs, outputs = Path(folder, "windows.npy"), Path(folder, "logits.npy")
        np.save(inputs, windows)
        arguments = [str(model), str(inputs), str(outputs), "--engine", engine, "--kernels", kernels]
        arguments += ["--by-row"] if by_row else []
        seconds = START_SECONDS + SECONDS_A_WINDOW * len(windows)
        ending = run_in(python, WORKER, *arguments, seconds=seconds)
        if not ending:
            raise EngineError(failure_of(engine, ending, seconds).replace(f"{model}: ", ""))
        logits: NDArray[np.float32] = np.load(outputs)
    return logits


def run_in(python: str | None, module: str, *arguments: str, seconds: float) -> Ending:
    """Run a module of edge_runtime in a child process: in the running Python, or in an environment's."""
    if python is None:
        return run_module(module, *arguments, seconds=seconds)
    with tempfile.TemporaryDirectory() as folder:
        command = foreign_command(python, _copied_runtime(Path(folder)), module, *arguments)
        return run_command(command, seconds=seconds, env=without_this_python())


def _copied_runtime(folder: Path) -> Path:
    """A folder below `folder` with a copy of edge_runtime, and nothing else of this Python's.

    The folder where edge_runtime is installed holds this Python's engine and numpy as well. On the other
    Python's path they would take the place of its own.
    """
    home = folder / "home"
    skipped = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(edge_runtime.__file__).parent, home / "edge_runtime", ignore=skipped)
    return home


def failure_of(engine: str, ending: Ending, seconds: float) -> str:
    """Why the engine's child process, which had that many seconds, did not succeed."""
    if ending.timed_out:
        return f"{engine} gave no answer within {seconds:.0f} s"
    return f"{engine} crashed: {ending.signal}" if ending.signal else str(ending)


def _agreement(logits: NDArray[np.float32], others: NDArray[np.float32]) -> float:
    return float((logits.argmax(axis=1) == others.argmax(axis=1)).mean())


def _accuracy(logits: NDArray[np.float32], source: SourceModel) -> float | None:
    """The accuracy, or None when the true classes are not known."""
    return float((logits.argmax(axis=1) == source.held_out.y).mean()) if source.labelled else None
