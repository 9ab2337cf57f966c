"""The record of what `edge-rnn inspect` finds in a model file: printable, and available as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from edge_runtime.errors import printable
from edge_runtime.model_file.metadata import CLASSIFICATION, Metadata

UNUSED = "padding and unreferenced bytes"
SHOWN_CONSTANTS = 20
"""The text lists at most this many constants; JSON lists all."""


@dataclass(frozen=True)
class TensorFacts:
    """A tensor: an input, an output or a constant."""

    index: int
    name: str
    dtype: str
    shape: tuple[int, ...]
    scale: float | None
    """None for a tensor that is not quantized; the first of several."""
    zero_point: int | None
    scales: int
    """The number of scales; more than one when the tensor is quantized per channel."""
    bytes: int | None
    """Size of its data; None for a tensor without data."""

    def __str__(self) -> str:
        """`window  INT8 [1, 28, 28]  scale 0.0039, zero_point -128`"""
        text = f"{self.name or '(no name)'}  {self.dtype} {list(self.shape)}"
        if self.scales > 1:
            return f"{text}  {self.scales} scales"
        if self.scale is not None:
            return f"{text}  scale {self.scale:.6g}, zero_point {self.zero_point}"
        return text


@dataclass(frozen=True)
class OperatorUse:
    """An operator, as the file names it, and how often it occurs."""

    name: str
    version: int
    count: int


@dataclass(frozen=True)
class Inspection:
    """The content of a `.tflite` file."""

    path: str
    file_bytes: int
    description: str
    subgraphs: int
    tensors: int
    """The number in all subgraphs together; `operators` and `constants` also cover all subgraphs."""
    inputs: tuple[TensorFacts, ...]
    outputs: tuple[TensorFacts, ...]
    """Inputs and outputs are those of the first subgraph, which is the one that runs."""
    operators: tuple[OperatorUse, ...]
    """The most frequent first."""
    constants: tuple[TensorFacts, ...]
    """The largest first."""
    bytes_by_part: dict[str, int]
    """Part of the file -> bytes, the largest first. The bytes add up to `file_bytes`."""
    loads_on: tuple[str, ...]
    """Targets whose engines load every operator in its version."""
    native_refusal: str | None
    """Why native does not run the model on this machine; None if it does."""
    metadata: Metadata | None
    """None if `edge-rnn convert` did not write the model, or if there is a `problem`."""
    problem: str | None = None
    """What is wrong with a file that `edge-rnn convert` wrote; it is damaged, cut short or too new."""

    def __str__(self) -> str:
        """Sections of text, printable characters only."""
        sections = [
            [f"{self.path}: {self.file_bytes:,} bytes, {self.description or 'no description'}"],
            ["inputs", *map(str, self.inputs)],
            ["outputs", *map(str, self.outputs)],
            self._operators(),
            self._constants(),
            ["bytes", *_columns(self.bytes_by_part), f"{self.file_bytes:>10,}  together"],
            ["loads on", ", ".join(self.loads_on) or "no target that this edge-rnn knows"],
            ["native", self.native_refusal or "runs this model on this machine"],
            ["proof", *([self.problem] if self.problem else _proof(self.metadata))],
        ]
        # Names come out of the file.
        return "\n".join("\n  ".join(map(printable, section)) for section in sections)

    def _operators(self) -> list[str]:
        total = sum(use.count for use in self.operators)
        graphs = "" if self.subgraphs == 1 else f" in {self.subgraphs} subgraphs"
        lines = [f"{use.count:>6}  {use.name} version {use.version}" for use in self.operators]
        return [f"operators: {total:,} on {self.tensors:,} tensors{graphs}", *lines]

    def _constants(self) -> list[str]:
        shown = self.constants[:SHOWN_CONSTANTS]
        left = len(self.constants) - len(shown)
        lines = [f"{item.bytes:>10,}  {item}" for item in shown]
        return [f"weights: {len(self.constants)}", *lines, *([f"... and {left} more"] if left else [])]

    def to_json(self) -> str:
        """One line of JSON."""
        record: dict[str, Any] = {
            **{
                name: getattr(self, name)
                for name in ("path", "file_bytes", "description", "subgraphs", "tensors")
            },
            "inputs": [asdict(item) for item in self.inputs],
            "outputs": [asdict(item) for item in self.outputs],
            "operators": [asdict(item) for item in self.operators],
            "constants": [asdict(item) for item in self.constants],
            "bytes": self.bytes_by_part,
            "loads_on": list(self.loads_on),
            "native": {"runs": self.native_refusal is None, "why_not": self.native_refusal},
            "metadata": self.metadata and self.metadata.to_json(),
            "problem": self.problem,
        }
        return json.dumps(record)


def _columns(sizes: dict[str, int]) -> list[str]:
    return [f"{count:>10,}  {part}" for part, count in sizes.items()]


def _proof(metadata: Metadata | None) -> list[str]:
    if metadata is None:
        return ["none: not written by edge-rnn convert"]
    made = f"made for target {metadata.target} in {metadata.precision}"
    if metadata.task != CLASSIFICATION:
        made += f"; {metadata.task}: {', '.join(metadata.labels)}"
    report = str(metadata.parity).splitlines() if metadata.parity is not None else ["no parity report"]
    probes = metadata.probes
    if probes is None:
        return [made, *report, "no probes: 'edge-rnn verify' cannot check this file"]
    origin = "synthetic" if probes.synthetic else f"of the {probes.origin}"
    unit = "logit difference" if metadata.task == CLASSIFICATION else "difference in standard deviations"
    return [
        made,
        *report,
        f"{probes.count} probes {origin}, allowed {unit} {probes.tolerance:g} "
        "('edge-rnn verify' runs them)",
    ]
