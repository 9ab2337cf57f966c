"""The proof: the written file, run in every installed engine, against the full model."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import edge_runtime
from convert.source import Source
from convert.target import Target
from edge_runtime.engine import ENGINES, engine_version, installed_engines
from edge_runtime.errors import EngineError
from edge_runtime.metadata import read_model
from edge_runtime.parity_report import EngineParity, ParityBudget, ParityReport

START_SECONDS = 120
SECONDS_A_WINDOW = 1.0
"""An engine that takes longer than this has hung; the slowest one seen takes 0.01 s a window."""

DECIMALS = 6
"""Logit differences are recorded to this many decimals."""


def prove(model: str | Path, source: Source, *, budget: ParityBudget, target: Target) -> ParityReport:
    """Run the model file on the held-out windows in every installed engine and compare the logits.

    Raises ModelError when the file itself cannot be read; an engine that refuses it or crashes is a
    line of the report.
    """
    _, metadata = read_model(model)
    installed = installed_engines()
    return ParityReport(
        precision=metadata.precision,
        windows=len(source.held_out),
        split=source.split,
        full_accuracy=_accuracy(source.logits, source),
        budget=budget,
        flatbuffer_bytes=metadata.flatbuffer_bytes,
        engines=tuple(
            _compare(Path(model), name, name in target.engines, source)
            for name in ENGINES
            if name in installed
        ),
        not_proven=tuple(name for name in target.engines if name not in installed),
    )


def _compare(
    model: Path,
    engine: str,
    required: bool,
    source: Source,
) -> EngineParity:
    version, full_logits = engine_version(engine), source.logits
    try:
        logits = engine_logits(model, source.held_out.x, engine=engine)
    except EngineError as error:
        reason = str(error).split(". ")[0]
        return EngineParity(engine, version, required, failure=reason)
    difference = np.abs(logits.astype(np.float64) - full_logits)
    return EngineParity(
        engine,
        version,
        required,
        accuracy=_accuracy(logits, source),
        agreement=float((logits.argmax(axis=1) == full_logits.argmax(axis=1)).mean()),
        max_logit_difference=round(float(difference.max()), DECIMALS),
        mean_logit_difference=round(float(difference.mean()), DECIMALS),
    )


def engine_logits(
    model: str | Path, windows: NDArray[Any], *, engine: str, kernels: str = "default"
) -> NDArray[np.float32]:
    """Logits `[N, classes]` of raw `windows` `[N, steps, features]`, computed in a child process.

    A process of its own, because TensorFlow in the same process breaks tflite-runtime (it fails with
    "vector::reserve"), and because an engine that crashes must not take the converter with it.
    Raises EngineError when the engine refuses the model or crashes.
    """
    with tempfile.TemporaryDirectory() as folder:
        inputs, outputs = Path(folder, "windows.npy"), Path(folder, "logits.npy")
        np.save(inputs, windows)
        command = [
            sys.executable,
            "-m",
            "edge_runtime.worker",
            str(model),
            str(inputs),
            str(outputs),
        ]
        command += ["--engine", engine, "--kernels", kernels]
        seconds = START_SECONDS + SECONDS_A_WINDOW * len(windows)
        try:
            result = subprocess.run(
                command,
                capture_output=True,
                text=True,
                env=_environment(),
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise EngineError(f"{engine} gave no answer within {seconds:.0f} s") from None
        if result.returncode != 0:
            raise EngineError(_failure(engine, result).replace(f"{model}: ", ""))
        logits: NDArray[np.float32] = np.load(outputs)
    return logits


def _environment() -> dict[str, str]:
    """This process's environment, with edge_runtime importable from where it was imported here."""
    home = str(Path(edge_runtime.__file__).parents[1])
    path = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([home, path] if path else [home])}


def _failure(engine: str, result: subprocess.CompletedProcess[str]) -> str:
    if result.returncode < 0:
        return f"{engine} crashed: {signal.Signals(-result.returncode).name}"
    return next(reversed(result.stderr.strip().splitlines()), f"exit code {result.returncode}")


def _accuracy(logits: NDArray[np.float32], source: Source) -> float | None:
    """None where the true classes are not known."""
    return float((logits.argmax(axis=1) == source.held_out.y).mean()) if source.labelled else None
