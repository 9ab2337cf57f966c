"""One conversion from start to end: read the model, compile it, prove the file, write it."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Callable

import edge_runtime
from convert.compiler.compile import float_graph, lower
from convert.compiler.float_graph.step import state_labels
from convert.compiler.scheme_cost import scheme_cost
from convert.compiler.weights.shared_packing import can_share_weights
from convert.even_features import even_features
from convert.explain.loss_by_step import Explanation, explain
from convert.explain.picture import draw_explanation
from convert.finetune_record import check_finetuned
from convert.model_file.archive import embed
from convert.model_file.flatbuffer import serialize
from convert.options import ALL, ConversionOptions
from convert.proof.arena import with_arena
from convert.proof.choose_probes import choose_probes
from convert.proof.engines import find_proof_engines, make_missing
from convert.proof.output_errors import output_step_note
from convert.proof.parity import prove as prove_file
from convert.proof.row_parity import with_row_proof
from convert.readers.open_source import kind_of, open_source
from convert.readers.read_options import ReadOptions, check_unread
from convert.source_model.source_model import SourceModel
from convert.targets.operator_check import check_operators, differences
from convert.targets.precision import offered, precision_named, scheme_for
from convert.targets.target import TARGETS, Target
from edge_runtime.errors import InputError
from edge_runtime.host.atomic_file import replacing
from edge_runtime.model_file.metadata import STEP, UNROLLED, Metadata
from edge_runtime.model_file.parity_report import ParityReport
from edge_runtime.model_file.probes import Probes
from edge_runtime.runs.recorded_graph import graph_of
from edge_runtime.tflite.graph import Graph

EXPLAINED_WINDOWS = 200
"""The number of calibration windows on which the loss by step is measured."""

UNEXPLAINED = "float32"
"""The precision that loses nothing that could be explained."""


@dataclass(frozen=True)
class Conversion:
    """The outcome for one precision. It is truthy when the file was written."""

    path: Path
    """The file."""
    file_bytes: int | None
    """Size of the written file; None when the proof failed and nothing was written."""
    report: ParityReport
    notes: tuple[str, ...] = ()
    """Sentences: what had to change to suit the target, its cost in accuracy, and the recipe."""
    explanation: Explanation | None = None
    """The loss by step and gate, where it was asked for."""
    reason: str = ""
    """Why nothing was written, as a clause."""

    def __bool__(self) -> bool:
        return self.file_bytes is not None

    def __str__(self) -> str:
        """The parity table, the notes, and whether the file was written."""
        lines = [str(self.report), *(f"  {note}" for note in self.notes)]
        if self.explanation is not None:
            lines.append(str(self.explanation))
        if self.file_bytes is None:
            return "\n".join([*lines, self.refusal])
        return "\n".join([*lines, f"{self.path}: written, {self.file_bytes:,} bytes with metadata"])

    @property
    def refusal(self) -> str:
        """Why nothing was written."""
        return f"{self.path}: not written, {self.reason}."


def output_files(
    model: str | Path,
    precision: str,
    out: str | Path | None = None,
    *,
    graph: str = UNROLLED,
    target: Target = TARGETS["any"],
) -> dict[str, Path]:
    """Precision -> file to write. `precision` "all" means every one that the target has.

    `out` is the file, or the folder for "all". Without it the files go into the run directory, or beside
    the model file, and the names of step files end in "-step". Raises InputError for an unknown
    precision, and for a file in the folder's place.
    """
    names = offered(target) if precision == ALL else [precision_named(precision).name]
    if out is not None and precision != ALL:
        return {precision: Path(out)}
    path = Path(model)
    home, name = (path, path.resolve().name) if path.is_dir() else (path.parent, path.stem)
    folder = home if out is None else Path(out)
    if folder.is_file() or (out is not None and folder.suffix == ".tflite"):
        raise InputError(f"{folder}: is the name of a file. With --precision all, --out names a folder.")
    suffix = "-step" if graph == STEP else ""
    return {precision: folder / f"{name}-{precision}{suffix}.tflite" for precision in names}


def convert_files(
    model: Any,
    outputs: Mapping[str, str | Path],
    read: ReadOptions,
    options: ConversionOptions,
    *,
    prove: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Iterator[Conversion]:
    """Convert one model to several precisions, `outputs`: precision -> file; yields each result.

    The options are checked when this is called, before any file is opened. All else happens when the
    iterator is asked for its first result. `prove` and `progress`: see `convert.api.convert_model`.
    """
    for precision, out in outputs.items():
        options.check(precision)
        check_output(out, model, read, options)
    if options.explain is not None and set(outputs) == {UNEXPLAINED}:
        raise InputError(
            f"--explain: {UNEXPLAINED} loses nothing that could be explained. Leave it out."
        )
    if len({Path(out).resolve() for out in outputs.values()}) < len(outputs):
        raise InputError("outputs: two precisions have the same file. Name a file for each.")
    kind_of(model, read)

    def results() -> Iterator[Conversion]:
        source = even_features(open_source(model, read))
        for precision in outputs:
            check_source(source, precision, options)
        if prove:
            make_missing(options.target, progress)
        for precision, out in outputs.items():
            yield convert_source(source, out, precision=precision, options=options, progress=progress)

    return results()


def check_output(out: str | Path, model: Any, read: ReadOptions, options: ConversionOptions) -> None:
    """Raises InputError for an `out` that is a folder or would replace what is converted."""
    if Path(out).is_dir():
        raise InputError(f"{out}: is a folder. --out names the file to write.")
    check_unread(out, "--out", model, read.data, options.recipe and options.recipe.path)


def check_source(source: SourceModel, precision: str, options: ConversionOptions) -> None:
    """Raises InputError for options that do not go with the task, or with a fine-tuned run."""
    options.check_task(source.task)
    finetuned = source.finetuned
    if finetuned is not None and finetuned.graph.precision == precision:
        check_finetuned(
            finetuned.graph, target=options.target, graph=options.graph, recipe=options.recipe
        )


def convert_source(
    source: SourceModel,
    out: str | Path,
    *,
    precision: str,
    options: ConversionOptions | None = None,
    progress: Callable[[str], None] | None = None,
) -> Conversion:
    """Compile, prove and write one file.

    `progress` gets a line, before the proof, on each operator that the target computes otherwise.

    When the proof fails, or the options demand a stronger one (`ConversionOptions.refusal`), nothing is
    left under `out`. An older file is deleted, as it could be mistaken for the result. Raises
    InputError for options that do not go with the source, and what the compiler raises.
    """
    options, source = options or ConversionOptions(), source.for_precision(precision)
    check_source(source, precision, options)
    graph = _lowered(source, precision, options)
    explanation = _explained(source, graph, out, precision, options)
    otherwise = differences(graph, options.target, scheme_for(precision, options.target))
    for line in otherwise:
        if progress is not None:
            progress(line)
    notes = (*otherwise, *_notes(source, precision, options, graph))
    flatbuffer = serialize(graph, strip=options.strip)
    metadata = _metadata(source, flatbuffer, precision, options, graph, notes)
    report, probes = _proof(source, embed(flatbuffer, metadata), precision, options, graph)
    reason = options.refusal(report)
    if reason is not None:
        Path(out).unlink(missing_ok=True)
        return Conversion(Path(out), None, report, notes, explanation, reason)
    data = embed(flatbuffer, metadata.with_parity(report), probes)
    with replacing(out) as temporary:
        temporary.write_bytes(data)
    return Conversion(Path(out), len(data), report, notes, explanation)


def try_source(
    source: SourceModel, *, precision: str, options: ConversionOptions
) -> tuple[bytes, ParityReport]:
    """The file's bytes, without probes and notes, and its parity on the source's held-out windows.

    Writes nothing. Raises what `convert_source` raises.
    """
    graph = _lowered(source, precision, options)
    flatbuffer = serialize(graph, strip=options.strip)
    data = embed(flatbuffer, _metadata(source, flatbuffer, precision, options, graph))
    report, _ = _proof(source, data, precision, options, graph)
    return data, report


def _explained(
    source: SourceModel, graph: Graph, out: str | Path, precision: str, options: ConversionOptions
) -> Explanation | None:
    """The explanation, also written to the folder. None where none was asked for, and for float32."""
    if options.explain is None or precision == UNEXPLAINED:
        return None
    reference = float_graph(source.network)
    windows = source.calibration[:EXPLAINED_WINDOWS]
    found = explain(source.network, graph, reference, windows, precision=precision)
    folder = Path(options.explain)
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / f"{Path(out).stem}.json") as temporary:
        temporary.write_text(json.dumps(found.to_json(), indent=2) + "\n", "utf-8")
    draw_explanation(found, folder / f"{Path(out).stem}.png")
    return found


def _lowered(source: SourceModel, precision: str, options: ConversionOptions) -> Graph:
    """The graph to write, with operators that every engine of the target loads."""
    finetuned = source.finetuned
    if finetuned is not None and finetuned.graph.precision == precision:
        graph = graph_of(finetuned.graph)
    else:
        graph = lower(
            source.network,
            source.calibration,
            precision=precision,
            target=options.target,
            graph=options.graph,
            recipe=options.recipe,
        )
    check_operators(graph, options.target, scheme_for(precision, options.target))
    return graph


def _notes(
    source: SourceModel, precision: str, options: ConversionOptions, graph: Graph
) -> tuple[str, ...]:
    """Sentences for the file: the windows' scaling, the scheme's cost, the outputs' step, the recipe."""
    cost = scheme_cost(source.network, source.calibration, precision=precision, target=options.target)
    found = (cost, output_step_note(graph, source, precision), options.recipe)
    return (*source.notes, *(str(note) for note in found if note is not None))


def _proof(
    source: SourceModel, data: bytes, precision: str, options: ConversionOptions, graph: Graph
) -> tuple[ParityReport, Probes | None]:
    """The parity report, and the probes for the device, where the proof did not fail."""
    budget = options.budget(precision_named(precision), source.task)
    with tempfile.TemporaryDirectory() as folder:
        candidate = Path(folder, "candidate.tflite")
        candidate.write_bytes(data)
        engines = find_proof_engines(options.target)
        report = prove_file(candidate, source, budget=budget, engines=engines)
        if graph.states:
            report = with_row_proof(report, candidate, source, graph, engines)
        if report.failed:
            return report, None
        report = with_arena(report, candidate, engines)
        return report, choose_probes(candidate, source, report, engines, graph)


def _metadata(
    source: SourceModel,
    flatbuffer: bytes,
    precision: str,
    options: ConversionOptions,
    graph: Graph,
    notes: tuple[str, ...] = (),
) -> Metadata:
    return Metadata(
        steps=source.network.steps,
        features=source.network.features,
        labels=source.labels,
        normalization=source.normalization,
        precision=precision,
        target=options.target.name,
        flatbuffer_bytes=len(flatbuffer),
        flatbuffer_sha256=hashlib.sha256(flatbuffer).hexdigest(),
        source=source.origin,
        tools={
            "edge-rnn": edge_runtime.__version__,
            **source.tools,
            **{name: version(name) for name in ("numpy", "flatbuffers", "ai-edge-litert")},
        },
        notes=notes,
        graph=STEP if graph.states else UNROLLED,
        states=state_labels(graph),
        shared_weights=can_share_weights(graph),
        task=source.task,
        unit_length=source.unit_length,
    )
