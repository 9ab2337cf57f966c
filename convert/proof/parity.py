"""The proof: the written file, run in every engine that is here, against the full model."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import edge_runtime
from convert.proof.engines import ProofEngine, ProofEngines
from convert.proof.environments import without_this_python
from convert.source_model.source_model import SourceModel
from edge_runtime.errors import EngineError
from edge_runtime.model_file.parity_report import EngineParity, ParityBudget, ParityReport
from edge_runtime.model_file.read_file import read_model

START_SECONDS = 120
SECONDS_A_WINDOW = 1.0
"""An engine that takes longer than this has hung; the slowest one seen takes 0.01 s a window."""

DECIMALS = 6
"""Logit differences are recorded to this many decimals."""


def prove(
    model: str | Path,
    source: SourceModel,
    *,
    budget: ParityBudget,
    engines: ProofEngines,
) -> ParityReport:
    """Run the model file on the held-out windows in every available engine and compare the logits.

    Of a fine-tuned file the full model is the one that was fine-tuned, evaluated with its roundings; how
    often it gives the class of the model before fine-tuning is reported as well.
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
    difference = np.abs(logits.astype(np.float64) - full_logits)
    return EngineParity(
        name,
        version,
        required,
        accuracy=_accuracy(logits, source),
        agreement=_agreement(logits, full_logits),
        max_logit_difference=round(float(difference.max()), DECIMALS),
        mean_logit_difference=round(float(difference.mean()), DECIMALS),
        original_agreement=None if original is None else _agreement(logits, original),
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
    `python`: that of an isolated environment, which has the engine in another version; default: this
    one. Raises EngineError when the engine refuses the model or crashes.
    """
    with tempfile.TemporaryDirectory() as folder:
        inputs, outputs = Path(folder, "windows.npy"), Path(folder, "logits.npy")
        np.save(inputs, windows)
        command = [python or sys.executable, "-m", "edge_runtime.inference.worker"]
        command += [str(Path(model).absolute()), str(inputs), str(outputs)]
        command += ["--engine", engine, "--kernels", kernels, *(["--by-row"] if by_row else [])]
        seconds = START_SECONDS + SECONDS_A_WINDOW * len(windows)
        try:
            result = subprocess.run(
                command,
                capture_output=True,
                text=True,
                env=_environment() if python is None else _isolated(Path(folder)),
                cwd=None if python is None else folder,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise EngineError(f"{engine} gave no answer within {seconds:.0f} s") from None
        if result.returncode != 0:
            raise EngineError(_failure(engine, result).replace(f"{Path(model).absolute()}: ", ""))
        logits: NDArray[np.float32] = np.load(outputs)
    return logits


def _environment() -> dict[str, str]:
    """This process's environment, with edge_runtime importable from where it was imported here."""
    home = str(Path(edge_runtime.__file__).parents[1])
    path = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([home, path] if path else [home])}


def _isolated(folder: Path) -> dict[str, str]:
    """An environment with a copy of edge_runtime in `folder`, and nothing else of this Python's.

    Where edge_runtime is installed, its folder holds this Python's engine and numpy as well: on the
    other Python's path they would take the place of its own.
    """
    home = folder / "home"
    skipped = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(edge_runtime.__file__).parent, home / "edge_runtime", ignore=skipped)
    return {**without_this_python(), "PYTHONPATH": str(home)}


def _failure(engine: str, result: subprocess.CompletedProcess[str]) -> str:
    if result.returncode < 0:
        return f"{engine} crashed: {signal.Signals(-result.returncode).name}"
    return next(reversed(result.stderr.strip().splitlines()), f"exit code {result.returncode}")


def _agreement(logits: NDArray[np.float32], others: NDArray[np.float32]) -> float:
    return float((logits.argmax(axis=1) == others.argmax(axis=1)).mean())


def _accuracy(logits: NDArray[np.float32], source: SourceModel) -> float | None:
    """None where the true classes are not known."""
    return float((logits.argmax(axis=1) == source.held_out.y).mean()) if source.labelled else None
