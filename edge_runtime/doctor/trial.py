"""Tries an engine in a child process: does it survive being loaded, and does it compute correctly?

The trial model (scripts/trial_model.py) has integer and float operators and probes of its own. In every
engine with XNNPACK, XNNPACK takes its float operators.
"""

from __future__ import annotations

import json
import re
import tempfile
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from edge_runtime.engines.engine import ENGINES, NATIVE, engine_version
from edge_runtime.host.child_process import run_module

TRIAL_MODEL = str(Path(__file__).with_name("trial.tflite"))

NUMPY_IMPORT, IMPORT, COMPUTE, USER_MODEL = "numpy", "import", "compute", "model"
"""Stages: importing numpy, importing the engine, running the trial model, running the user's."""

LONGEST_TIMEOUT = 1_000_000
"""Seconds, eleven days; clocks refuse much larger numbers."""

SECONDS = 60.0
"""A child that takes longer hangs; a Pi Zero imports an engine in about ten seconds."""


@dataclass(frozen=True)
class Trial:
    """The result; truthy when the engine computes correctly, the user's model included."""

    engine: str
    version: str | None
    """Version of the installed distribution; None for a package without one. NATIVE has edge-rnn's."""
    stage: str = ""
    """The stage in which the child failed; empty when it passed all of them."""
    failure: str = ""
    """The child's exceptions, and what it printed on standard error."""
    signal: str | None = None
    timed_out: bool = False
    numpy: str | None = None
    """Version; None when it cannot be imported."""
    verification: dict[str, Any] | None = None
    """The verification of the trial model as JSON; None when the child did not get that far."""
    xnnpack: bool | None = None
    """Whether XNNPACK took operators of the trial model; None if unknown."""
    kernels: str | None = None
    """The kernels that NATIVE uses on this processor; None for the other engines."""
    model: dict[str, Any] | None = None
    """The verification of the user's model as JSON."""

    @property
    def imports(self) -> bool:
        """Whether the engine can be imported."""
        return self.stage not in (NUMPY_IMPORT, IMPORT)

    @property
    def is_passed_over(self) -> bool:
        """Whether `auto` takes another engine: an engine that dies instead of raising ends edge-rnn.

        NATIVE is also passed over where it refuses the model.
        """
        raised = bool(self.stage) and not (self.signal or self.timed_out)
        return raised and (self.engine == NATIVE or not self.imports)

    @property
    def computes(self) -> bool:
        """Whether the trial model came out right."""
        return bool(self.verification and self.verification["verified"])

    @property
    def name(self) -> str:
        """Engine and version."""
        return f"{self.engine} {self.version}" if self.version else self.engine

    @property
    def model_fails(self) -> bool:
        """Whether the user's model came out wrong."""
        return self.model is not None and self.model["verified"] is False

    def __bool__(self) -> bool:
        return not self.stage and self.computes and not self.model_fails

    def __str__(self) -> str:
        """One clause, without the engine's name."""
        if not self.imports:
            outcome = "cannot be loaded" if self.engine == NATIVE else "cannot be imported"
        elif self.computes:
            outcome = "computes the trial model correctly"
        else:
            outcome = (
                "computes the trial model incorrectly" if self.verification else "cannot run a model"
            )
        delegate = "" if self.xnnpack is None else f", with{'' if self.xnnpack else 'out'} XNNPACK"
        kernels = f", with {self.kernels} kernels" if self.kernels else ""
        return f"{self.version or 'version unknown'}, {outcome}{delegate}{kernels}"

    @property
    def model_outcome(self) -> str:
        """One clause: the outcome of the user's model."""
        result = self.model
        if result is None:
            return "not run" if self.stage != USER_MODEL else first_line(self.failure)
        if result["verified"] is None:
            return "loads and runs, but carries no probes to verify it with"
        if not result["verified"]:
            return (
                f"computes something else: {len(result['mismatches'])} of {result['probes']} probes fail"
            )
        return (
            f"verified, {result['probes']} probes, largest difference "
            f"{result['max_logit_difference']:.5f} (allowed {result['tolerance']:.5g})"
        )

    def to_json(self) -> dict[str, Any]:
        """The fields."""
        return {**asdict(self), "works": bool(self)}


def first_line(failure: str) -> str:
    """The first line of a failure, without the name of the exception."""
    lines = (line for line in failure.splitlines() if line.strip())
    return re.sub(r"^\w+(Error|Exception): ", "", next(lines, "it says nothing"))


def try_engine(engine: str, model: str | None = None, *, seconds: float = SECONDS) -> Trial:
    """Load `engine` (a name of edge_runtime.engines.engine), run the trial model and `model` in it."""
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder, "record")
        record.touch()
        module = "edge_runtime.doctor.trial_child"
        ending = run_module(module, engine, str(record), model or "", seconds=seconds)
        facts = _merged(record.read_text("utf-8"))
    if not ending and not facts["stage"]:  # it passed all stages and died while it ended
        facts["stage"] = USER_MODEL if model else COMPUTE
    failure = "\n".join(part for part in (facts.pop("failure", ""), ending.errors) if part)
    return Trial(
        engine,
        engine_version(engine) if engine == NATIVE else installed_version(engine),
        failure="" if ending else failure,
        signal=ending.signal,
        timed_out=ending.timed_out,
        xnnpack=facts.pop("xnnpack", None) if engine in ENGINES else None,
        **{name: value for name, value in facts.items() if name != "xnnpack"},
    )


def installed_version(package: str) -> str | None:
    """The version of the installed distribution; None if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _merged(record: str) -> dict[str, Any]:
    """The facts of all lines; a child that did not begin stopped at its first stage."""
    facts: dict[str, Any] = {"stage": NUMPY_IMPORT}
    for line in record.splitlines():
        facts.update(json.loads(line))
    return facts
