"""What a model file says about itself: the read side of the contract in docs/reference/format.md.

The ZIP archive at the end of a model file (model_file.read_file) holds `labels.txt` with one label on
each line, `probes.bin` (model_file.probes) and `edge_rnn.json` with everything else.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_runtime.errors import ModelError, reason
from edge_runtime.model_file.json_fields import flag, mapping, text, text_by_name, texts, whole
from edge_runtime.model_file.normalization import Normalization

if TYPE_CHECKING:
    from edge_runtime.model_file.parity_report import ParityReport
    from edge_runtime.model_file.probe_record import ProbeRecord

FORMAT_VERSION = 3
"""The newest version this package reads; docs/reference/format.md says when it rises."""

UNROLLED, STEP = "unrolled", "step"
GRAPH_VERSIONS = {UNROLLED: 1, STEP: 2}
"""Graph of a file -> the format version it is written in: the oldest whose readers use it correctly."""

CLASSIFICATION, REGRESSION, EMBEDDING = "classification", "regression", "embedding"
TASK_VERSIONS = {CLASSIFICATION: 1, REGRESSION: 3, EMBEDDING: 3}
"""What the outputs of a file are -> the format version it is written in, at least: a reader of version 2
would give classes for numbers."""

TOKEN_VERSION = 3
"""The format version of a file whose windows are tokens, at least: its input has a new meaning."""

RECORD_NAME = "edge_rnn.json"
LABELS_NAME = "labels.txt"
PROBES_NAME = "probes.bin"

MOST_VALUES = 1 << 22
"""Limit on the values of a window. In a step file only the record says how many rows a window has."""


@dataclass(frozen=True)
class Metadata:
    """The record a model file carries.

    Example:
        from edge_runtime import Classifier

        with Classifier("model.tflite") as classifier:
            spec = classifier.spec
        print(f"{spec.precision}: windows of {spec.steps} x {spec.features}, {spec.task}: {spec.labels}")
    """

    steps: int
    """Rows of a window."""
    features: int
    """Values of a row."""
    labels: tuple[str, ...]
    """The classes' names, in the order of the logits; in a file of numbers, the names of the outputs."""
    normalization: Normalization
    """What happens to a raw window before the network sees it."""
    precision: str
    """Arithmetic of the file: float32, float16, dynamic, int4, int16x8, mixed or int8."""
    target: str
    """The engine the file was made for; `any` means every supported one."""
    flatbuffer_bytes: int
    """Size of the FlatBuffer; the archive follows it."""
    flatbuffer_sha256: str
    """Its SHA-256, hexadecimal."""
    source: dict[str, str] = field(default_factory=dict)
    """Where the weights come from: SHA-256 of the full model, data set name and digest."""
    tools: dict[str, str] = field(default_factory=dict)
    """Versions of the programs that made the file."""
    notes: tuple[str, ...] = ()
    """Sentences: what had to change to suit the target, its cost in accuracy, and the recipe."""
    proof: dict[str, Any] | None = None
    """The parity report as a JSON object: see `parity`."""
    graph: str = UNROLLED
    """unrolled: a window in, its logits out; step: a row and states in, logits and new states out."""
    states: tuple[str, ...] = ()
    """In a step file: the names of the states, in the order of the FlatBuffer's inputs from 1 on."""
    probe_fields: dict[str, Any] | None = None
    """The record of the archive's probes as a JSON object: see `probes`. None without probes."""
    shared_weights: bool = False
    """Whether one packed copy of each matrix can serve all steps (engines.shared_weights)."""
    task: str = CLASSIFICATION
    """classification: the outputs are the logits of classes. regression: numbers in their own unit.
    embedding: the coordinates of a vector."""
    unit_length: bool = False
    """Of an embedding: whether Regressor divides the FlatBuffer's output by its length."""

    @cached_property
    def parity(self) -> ParityReport | None:
        """The proof: how the file agreed with the full model when it was made.

        Read on first use, because a device does not need it to classify. Raises ModelError when it is
        damaged; `check` does the same and names the file.
        """
        if self.proof is None:
            return None
        from edge_runtime.model_file.parity_report import ParityReport

        with damaged_record():
            return ParityReport.from_json(self.proof)

    @cached_property
    def probes(self) -> ProbeRecord | None:
        """The record of the archive's probes, read as `parity` is."""
        if self.probe_fields is None:
            return None
        from edge_runtime.model_file.probe_record import ProbeRecord

        with damaged_record():
            return ProbeRecord.from_json(self.probe_fields)

    def with_probes(self, record: ProbeRecord | None) -> Metadata:
        """The same with other probes."""
        return replace(self, probe_fields=None if record is None else _as_read(record.to_json()))

    def with_parity(self, report: ParityReport) -> Metadata:
        """The same with another proof."""
        return replace(self, proof=_as_read(report.to_json()))

    def check(self, path: str | Path) -> Metadata:
        """Read what is read on first use. Raises ModelError naming `path` if it is damaged."""
        try:
            _ = self.parity, self.probes
        except ModelError as error:
            raise ModelError(f"{path}: {error}") from None
        return self

    def to_json(self) -> dict[str, Any]:
        """The content of `edge_rnn.json`; the labels are not in it, they have a file of their own."""
        graph = {"graph": self.graph, "states": list(self.states)} if self.graph == STEP else {}
        task = {"task": self.task, "unit_length": self.unit_length}
        return {
            "format_version": self._format_version,
            **graph,
            **(task if self.task != CLASSIFICATION else {}),
            "steps": self.steps,
            "features": self.features,
            "normalization": self.normalization.to_json(),
            "precision": self.precision,
            "target": self.target,
            "flatbuffer": {"bytes": self.flatbuffer_bytes, "sha256": self.flatbuffer_sha256},
            "source": self.source,
            "tools": self.tools,
            "choices": list(self.notes),
            "parity": self.proof,
            "probes": self.probe_fields,
            "shared_weights": self.shared_weights,
        }

    @property
    def _format_version(self) -> int:
        least = TOKEN_VERSION if self.normalization.tokens else 1
        return max(GRAPH_VERSIONS[self.graph], TASK_VERSIONS[self.task], least)

    @classmethod
    def from_json(cls, record: dict[str, Any], labels: tuple[str, ...]) -> Metadata:
        """Read what `to_json` wrote. Raises KeyError, TypeError or ValueError on anything else."""
        steps, features = whole(record, "steps", 1), whole(record, "features", 1)
        if steps * features > MOST_VALUES:
            raise ValueError(f"steps, features: expected a window of at most {MOST_VALUES:,} values")
        normalization = Normalization.from_json(record["normalization"])
        if not {len(normalization.mean), len(normalization.std)} <= {1, features}:
            raise ValueError(f"normalization: expected 1 or {features} values of mean and std")
        return cls(
            steps=steps,
            features=features,
            labels=labels,
            normalization=normalization,
            precision=text(record, "precision"),
            target=text(record, "target"),
            flatbuffer_bytes=whole(record["flatbuffer"], "bytes"),
            flatbuffer_sha256=text(record["flatbuffer"], "sha256"),
            source=text_by_name(record, "source"),
            tools=text_by_name(record, "tools"),
            notes=texts(record, "choices") if "choices" in record else (),
            proof=None if record["parity"] is None else mapping(record, "parity"),
            # Files older than probes lack the key.
            probe_fields=None if record.get("probes") is None else mapping(record, "probes"),
            graph=_known(record.get("graph", UNROLLED), "graph", GRAPH_VERSIONS),
            states=texts(record, "states") if "states" in record else (),
            shared_weights=flag(record, "shared_weights") if "shared_weights" in record else False,
            task=_known(record.get("task", CLASSIFICATION), "task", TASK_VERSIONS),
            unit_length=flag(record, "unit_length") if "unit_length" in record else False,
        )


def _as_read(record: dict[str, Any]) -> dict[str, Any]:
    """`record` as it would be read back from a file."""
    result: dict[str, Any] = json.loads(json.dumps(record))
    return result


def _known(name: object, key: str, choices: Iterable[str]) -> str:
    known = tuple(choices)
    if not isinstance(name, str) or name not in known:
        raise ValueError(f"{key}: expected one of {', '.join(known)}, found {reason(name)}")
    return name


@contextlib.contextmanager
def damaged_record(where: str = "") -> Iterator[None]:
    """Turns what reading the record raises into ModelError. `where`: the start of its message."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, KeyError):
            problem = f"{RECORD_NAME} lacks {reason(error)}"
        else:
            problem = f"{RECORD_NAME} is invalid ({reason(error)})"
        raise ModelError(f"{where}the metadata is damaged, as {problem}.") from None
