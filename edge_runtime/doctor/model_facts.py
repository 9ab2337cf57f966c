"""What the doctor needs to know about a model file. A child process reads it, as numpy may be broken."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge_runtime.errors import ModelError
from edge_runtime.host.child_process import run_module


@dataclass(frozen=True)
class ModelFacts:
    """What a valid model file says about itself."""

    path: str
    precision: str
    target: str
    """The target that it was made for, as `edge-rnn convert --target` names it."""
    operators: tuple[tuple[str, int], ...]
    """Name and version of each operator."""
    proven: tuple[str, ...]
    """The engines, with their versions, that ran it in its proof."""

    def __str__(self) -> str:
        """One line."""
        proven = f"proven in {', '.join(self.proven)}" if self.proven else "not proven in any engine"
        return f"{self.precision} for {self.target}, {proven}"

    def to_json(self) -> dict[str, Any]:
        """The fields."""
        return asdict(self)


def read_model_facts(path: str, *, seconds: float) -> ModelFacts | None:
    """The facts of the file `path`; None when they cannot be read because numpy is broken or missing.

    Raises ModelError for a file that is damaged or is not a model of edge-rnn.
    """
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder, "record")
        ending = run_module("edge_runtime.doctor.model_facts_child", path, str(record), seconds=seconds)
        if not ending or not record.exists():
            return None
        facts: dict[str, Any] = json.loads(record.read_text("utf-8"))
    if "error" in facts:
        raise ModelError(facts["error"])
    operators = tuple((str(name), int(version)) for name, version in facts["operators"])
    return ModelFacts(path, facts["precision"], facts["target"], operators, tuple(facts["proven"]))
