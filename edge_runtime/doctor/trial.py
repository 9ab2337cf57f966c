"""Tries an engine in a child process: does it survive being loaded, and does it compute correctly?

The trial model (scripts/trial_model.py) has integer and float operators and probes of its own. Every
engine that has XNNPACK hands the float operators to it.
"""

from __future__ import annotations

import json
import re
import tempfile
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from edge_runtime.engines.engine import NUMPY
from edge_runtime.host.child_process import run_module

TRIAL_MODEL = str(Path(__file__).with_name("trial.tflite"))

NUMPY_IMPORT, IMPORT, COMPUTE, MODEL = "numpy", "import", "compute", "model"
"""Stages: importing numpy, importing the engine, running the trial model, running the user's model."""

LONGEST_WAIT = 1_000_000
"""Limit on --timeout in seconds, eleven days. Clocks refuse much larger numbers."""

SECONDS = 60.0
"""A child that takes longer has hung. A Pi Zero imports an engine in about ten seconds."""


@dataclass(frozen=True)
class Trial:
    """The result of a trial. It is true when the engine computes correctly, also the user's model."""

    engine: str
    version: str | None
    """The version of the installed distribution; None for a package without one."""
    stage: str = ""
    """The stage in which the child ended too early; empty when it finished."""
    failure: str = ""
    """The child's exceptions, and what it printed on standard error."""
    signal: str | None = None
    timed_out: bool = False
    numpy: str | None = None
    """The version of numpy; None when it cannot be imported."""
    verification: dict[str, Any] | None = None
    """The Verification of the trial model as JSON; None when the child did not get so far."""
    xnnpack: bool | None = None
    """Whether XNNPACK took operators of the trial model; None when that is not known."""
    model: dict[str, Any] | None = None
    """Like `verification`, for the user's model."""

    @property
    def imports(self) -> bool:
        """Whether the engine can be imported."""
        return self.stage not in (NUMPY_IMPORT, IMPORT)

    @property
    def is_passed_over(self) -> bool:
        """Whether `auto` takes another engine. It cannot when this one dies instead of raising."""
        return not (self.imports or self.signal or self.timed_out)

    @property
    def computes(self) -> bool:
        """Whether the engine computed the trial model correctly."""
        return bool(self.verification and self.verification["verified"])

    @property
    def name(self) -> str:
        """Engine and version."""
        return f"{self.engine} {self.version}" if self.version else self.engine

    @property
    def model_fails(self) -> bool:
        """Whether the engine computed the user's model wrong."""
        return self.model is not None and self.model["verified"] is False

    def __bool__(self) -> bool:
        return not self.stage and self.computes and not self.model_fails

    def __str__(self) -> str:
        """One clause, without the engine's name."""
        if not self.imports:
            outcome = "cannot be imported"
        elif self.computes:
            outcome = "computes the trial model rightly"
        else:
            outcome = "computes the trial model wrong" if self.verification else "cannot run a model"
        delegate = "" if self.xnnpack is None else f", with{'' if self.xnnpack else 'out'} XNNPACK"
        return f"{self.version or 'version unknown'}, {outcome}{delegate}"

    @property
    def model_outcome(self) -> str:
        """One clause, where it came to running the user's model."""
        result = self.model
        if result is None:
            return "not run" if self.stage != MODEL else first_line(self.failure)
        if result["verified"] is None:
            return "loads and runs; it carries no probes to verify it with"
        if not result["verified"]:
            return f"computes something else in {len(result['mismatches'])} of {result['probes']} probes"
        return (
            f"verified, {result['probes']} probes, largest logit difference "
            f"{result['max_logit_difference']:.5f} (allowed {result['tolerance']:.5g})"
        )

    def to_json(self) -> dict[str, Any]:
        """The fields."""
        return {**asdict(self), "works": bool(self)}


def first_line(failure: str) -> str:
    """The first line of a failure, without the kind of the exception."""
    lines = (line for line in failure.splitlines() if line.strip())
    return re.sub(r"^\w+(Error|Exception): ", "", next(lines, "it says nothing"))


def try_engine(engine: str, model: str | None = None, *, seconds: float = SECONDS) -> Trial:
    """Load `engine` (of edge_runtime.engines.engine), run the trial model and `model` in it."""
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder, "record")
        record.touch()
        module = "edge_runtime.doctor.trial_child"
        ending = run_module(module, engine, str(record), model or "", seconds=seconds)
        facts = _merged(record.read_text("utf-8"))
    if not ending and not facts["stage"]:  # it finished, and died while it exited
        facts["stage"] = MODEL if model else COMPUTE
    failure = "\n".join(part for part in (facts.pop("failure", ""), ending.errors) if part)
    return Trial(
        engine,
        installed_version(engine),
        failure="" if ending else failure,
        signal=ending.signal,
        timed_out=ending.timed_out,
        xnnpack=None if engine == NUMPY else facts.pop("xnnpack", None),
        **{name: value for name, value in facts.items() if name != "xnnpack"},
    )


def installed_version(package: str) -> str | None:
    """The version that is installed; None when the package is not."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _merged(record: str) -> dict[str, Any]:
    """The facts of all lines. A child that did not even begin stopped at its first stage."""
    facts: dict[str, Any] = {"stage": NUMPY_IMPORT}
    for line in record.splitlines():
        facts.update(json.loads(line))
    return facts
