"""What a model file says of itself: the read side of the contract in docs/reference/format.md.

A model file is a TFLite FlatBuffer with a ZIP archive appended, TFLite's own convention for
associated files: every TFLite interpreter loads it, every ZIP reader lists it. The archive holds
`labels.txt` (one label a line), `probes.bin` (model_file.probes) and `edge_rnn.json` (all else).
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_runtime.errors import ModelError, reason
from edge_runtime.model_file.json_fields import flag, mapping, text, text_by_name, texts, whole
from edge_runtime.model_file.normalization import Normalization
from edge_runtime.model_file.sha256 import sha256
from edge_runtime.model_file.zip_reader import ArchiveError, read_directory, unpack

if TYPE_CHECKING:
    from edge_runtime.model_file.parity_report import ParityReport
    from edge_runtime.model_file.probe_record import ProbeRecord

FORMAT_VERSION = 2
"""The newest version this package reads; docs/reference/format.md says when it rises."""

UNROLLED, STEP = "unrolled", "step"
GRAPH_VERSIONS = {UNROLLED: 1, STEP: 2}
"""Graph of a file -> the version it is written in: the oldest whose readers use it rightly."""

RECORD_NAME = "edge_rnn.json"
LABELS_NAME = "labels.txt"
PROBES_NAME = "probes.bin"

MOST_UNPACKED = {RECORD_NAME: 1 << 22, LABELS_NAME: 1 << 22, PROBES_NAME: 1 << 24}
"""Entry -> bytes that it may have. JSON of that size, enough for the mean and std of 100,000 features,
takes some twenty times as much memory; the converter's 8,000 bytes of packed probes inflate to 8 MB at
most."""

MOST_VALUES = 1 << 22
"""Of a window. In a step file nothing but the record says how many rows it has."""

MOST_BYTES = (1 << 31) + (1 << 26)
"""Of a file: a FlatBuffer's offsets have 31 bits, and the archive is small."""

FILE_IDENTIFIER = b"TFL3"
"""Bytes 4 to 8 of every TFLite FlatBuffer (schema.fbs: file_identifier)."""

DESCRIPTION = "made by edge-rnn"
"""The FlatBuffer's description. It lies in the first bytes, so a cut file is still known as ours."""


@dataclass(frozen=True)
class Metadata:
    """The record a model file carries. Shapes count windows as `[steps, features]`."""

    steps: int
    features: int
    labels: tuple[str, ...]
    normalization: Normalization
    precision: str
    """Arithmetic of the file: float32, float16, dynamic, int4, int16x8, mixed or int8."""
    target: str
    """The engine the file was made for; `any` means every supported one."""
    flatbuffer_bytes: int
    flatbuffer_sha256: str
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
    """Of a step: the states' names, in the order of the FlatBuffer's inputs and outputs 1, 2, ..."""
    probe_fields: dict[str, Any] | None = None
    """What the archive's probes are, as a JSON object: see `probes`. None in a file without them."""
    shared_weights: bool = False
    """Whether one packed copy of each matrix can serve all steps (engines.shared_weights)."""

    @cached_property
    def parity(self) -> ParityReport | None:
        """The proof: how the file agreed with the full model when it was made.

        Read on first use: to classify, a device does not need it. Raises ModelError for a damaged one,
        as `check` does, which names the file.
        """
        if self.proof is None:
            return None
        from edge_runtime.model_file.parity_report import ParityReport

        with _damage():
            return ParityReport.from_json(self.proof)

    @cached_property
    def probes(self) -> ProbeRecord | None:
        """What the archive's probes are, read as `parity` is."""
        if self.probe_fields is None:
            return None
        from edge_runtime.model_file.probe_record import ProbeRecord

        with _damage():
            return ProbeRecord.from_json(self.probe_fields)

    def with_probes(self, record: ProbeRecord | None) -> Metadata:
        """The same with other probes."""
        return replace(self, probe_fields=None if record is None else _as_read(record.to_json()))

    def with_parity(self, report: ParityReport) -> Metadata:
        """The same with another proof."""
        return replace(self, proof=_as_read(report.to_json()))

    def check(self, path: str | Path) -> Metadata:
        """Read all that is read on first use. Raises ModelError naming `path` where it is damaged."""
        try:
            _ = self.parity, self.probes
        except ModelError as error:
            raise ModelError(f"{path}: {error}") from None
        return self

    def to_json(self) -> dict[str, Any]:
        """The content of `edge_rnn.json`; the labels are not in it, they have a file of their own."""
        graph = {"graph": self.graph, "states": list(self.states)} if self.graph == STEP else {}
        return {
            "format_version": GRAPH_VERSIONS[self.graph],
            **graph,
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
            graph=_known_graph(record.get("graph", UNROLLED)),
            states=texts(record, "states") if "states" in record else (),
            shared_weights=flag(record, "shared_weights") if "shared_weights" in record else False,
        )


def _as_read(record: dict[str, Any]) -> dict[str, Any]:
    """`record` as it comes back from a file."""
    result: dict[str, Any] = json.loads(json.dumps(record))
    return result


def _known_graph(name: object) -> str:
    if not isinstance(name, str) or name not in GRAPH_VERSIONS:
        raise ValueError(f"graph: expected one of {', '.join(GRAPH_VERSIONS)}, found {reason(name)}")
    return name


@dataclass(frozen=True)
class ModelFile:
    """A model file that has been read and found sound."""

    flatbuffer: bytes
    """The model, without the archive."""
    metadata: Metadata
    probes: bytes | None
    """The content of probes.bin, or None in a file without it."""


def read_model(path: str | Path) -> tuple[bytes, Metadata]:
    """The FlatBuffer (bytes, without the archive) and the metadata of the model file `path`.

    Raises what `read_model_file` raises.
    """
    file = read_model_file(path)
    return file.flatbuffer, file.metadata


def read_model_file(path: str | Path, *, trust: bool = False) -> ModelFile:
    """Everything in the model file `path`.

    The FlatBuffer is checked against the recorded SHA-256, so a damaged model never reaches an engine,
    unless `trust` says that it may. Raises ModelError when the file cannot be read, is no TFLite
    model, is cut short or damaged, carries no edge-rnn metadata, or carries a newer format version.
    """
    data = read_bytes(path)
    file = parse_model_file(data, path, trust=trust)
    if file is None:
        raise ModelError(
            f"{path}: a TFLite model without edge-rnn metadata: expected a file written by "
            f"'edge-rnn convert', with {RECORD_NAME} in the ZIP archive at its end"
        )
    return file


def read_bytes(path: str | Path) -> bytes:
    """The bytes of a file that starts as a TFLite model does. Raises ModelError for any other."""
    try:
        with open(path, "rb") as file:
            start, size = file.read(8), os.fstat(file.fileno()).st_size
            if start[4:8] != FILE_IDENTIFIER:
                raise ModelError(
                    f"{path}: not a TFLite model (expected the identifier 'TFL3' at byte 4, "
                    f"found {start[4:8]!r} in a file of {size} bytes)"
                )
            if size > MOST_BYTES:
                raise ModelError(f"{path}: no TFLite model has {size:,} bytes: expected less than 2 GiB")
            return start + file.read()
    except OSError as error:
        raise ModelError(f"{path}: cannot read the model file: {error.strerror}") from None
    except ValueError as error:  # a zero byte in the name
        raise ModelError(f"{str(path)!r}: cannot read the model file: {error}") from None


def parse_model_file(data: bytes, path: str | Path, *, trust: bool = False) -> ModelFile | None:
    """`data` in its parts, or None for a model of another maker, without our record.

    `path` is for the messages. Raises ModelError for a file of ours that is too new or damaged; with
    `trust` a model that does not match its SHA-256 is let through.
    """
    content = _read_archive(data, path)
    if content is None:
        return None
    record, labels, probes = content
    metadata = _metadata(record, labels, path)
    flatbuffer = data[: metadata.flatbuffer_bytes]
    if not trust and sha256(flatbuffer) != metadata.flatbuffer_sha256:
        raise ModelError(
            f"{path}: damaged: the model's bytes do not match the SHA-256 recorded in the file "
            "(copy or convert it again; --trust loads a model that was changed on purpose)"
        )
    return ModelFile(flatbuffer, metadata, probes)


def _read_archive(data: bytes, path: str | Path) -> tuple[Any, tuple[str, ...], bytes | None] | None:
    """The record, the labels and the probes' bytes; None when there is no archive with a record."""
    try:
        directory = read_directory(data)
    except ArchiveError:
        directory = {}
    if not {RECORD_NAME, LABELS_NAME} <= set(directory):
        if DESCRIPTION.encode() in data[:256]:
            raise ModelError(
                f"{path}: cut short or damaged: the metadata that 'edge-rnn convert' appends "
                "is missing (copy or convert it again)"
            )
        return None
    try:
        contents = {
            name: unpack(data, directory[name], most)
            for name, most in MOST_UNPACKED.items()
            if name in directory
        }
        record = json.loads(contents[RECORD_NAME])
        labels = tuple(contents[LABELS_NAME].decode("utf-8").split("\n"))
    except (ValueError, RecursionError) as error:  # of the archive, of JSON or of UTF-8
        raise ModelError(f"{path}: damaged metadata: {reason(error)}") from None
    if not all(labels):
        raise ModelError(f"{path}: damaged metadata: a label in {LABELS_NAME} is empty")
    return record, labels, contents.get(PROBES_NAME)


def _metadata(record: Any, labels: tuple[str, ...], path: str | Path) -> Metadata:
    version = record.get("format_version") if isinstance(record, dict) else None
    if not isinstance(version, int) or version < 1:
        raise ModelError(f"{path}: damaged metadata: format_version is {reason(version)}")
    if version > FORMAT_VERSION:
        raise ModelError(
            f"{path}: written in format version {reason(version)}, this edge-rnn reads up to "
            f"{FORMAT_VERSION}: pip install --upgrade edge-rnn"
        )
    with _damage(f"{path}: "):
        return Metadata.from_json(record, labels)


@contextlib.contextmanager
def _damage(where: str = "") -> Iterator[None]:
    """Turns what reading the record raises into a sentence."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{where}damaged metadata: {RECORD_NAME} lacks or misstates {reason(error)}"
        ) from None
