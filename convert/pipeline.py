"""The whole story of a conversion: read the model, compile, prove, embed the proof, put it in place."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Callable

import edge_runtime
from convert.compiler.compile import float_graph, lower
from convert.compiler.float_graph.step import state_labels
from convert.compiler.recipe import read_recipe
from convert.compiler.scheme_cost import scheme_choice
from convert.compiler.weights.shared_packing import can_share_weights
from convert.explain.loss_by_step import Explanation, explain
from convert.explain.picture import draw_explanation
from convert.finetune_record import finetuned_graph
from convert.model_file.archive import embed
from convert.model_file.flatbuffer import serialize
from convert.options import Settings
from convert.proof.choose_probes import choose_probes
from convert.proof.engines import find_proof_engines, make_missing
from convert.proof.parity import prove as prove_file
from convert.proof.row_parity import with_row_proof
from convert.readers.open_source import open_source
from convert.readers.user_data import DataSource
from convert.source_model.source_model import Source
from convert.targets.operator_check import check_operators
from convert.targets.precision import offered, precision_named, scheme_for
from convert.targets.target import target_named
from edge_runtime.errors import InputError, ParityError
from edge_runtime.host.atomic_file import replacing
from edge_runtime.model_file.metadata import STEP, UNROLLED, Metadata
from edge_runtime.model_file.parity_report import ParityReport
from edge_runtime.model_file.probes import Probes
from edge_runtime.tflite.graph import Graph

EXPLAINED_WINDOWS = 200
"""Calibration windows on which the loss by step is measured."""


@dataclass(frozen=True)
class Conversion:
    """The outcome for one precision: truthy when the file was written."""

    path: Path
    file_bytes: int | None
    """Size of the written file; None when the proof failed and nothing was written."""
    report: ParityReport
    choices: tuple[str, ...] = ()
    """What was done otherwise because of the target, and what that costs."""
    explanation: Explanation | None = None
    """The loss by step and gate, where it was asked for."""

    def __bool__(self) -> bool:
        return self.file_bytes is not None

    def __str__(self) -> str:
        """The parity table, the choices, and what became of the file."""
        lines = [str(self.report), *(f"  {choice}" for choice in self.choices)]
        if self.explanation is not None:
            lines.append(str(self.explanation))
        if self.file_bytes is None:
            return "\n".join([*lines, self.refusal])
        return "\n".join([*lines, f"{self.path}: written, {self.file_bytes:,} bytes with metadata"])

    @property
    def refusal(self) -> str:
        """Why nothing was written."""
        if self.report.failed:
            return f"{self.path}: not written: the parity proof failed"
        lacking = ", ".join(self.report.not_proven)
        return f"{self.path}: not written: not proven on {lacking} (--require-engine)"


def output_files(
    model: str | Path,
    precision: str,
    out: str | None,
    graph: str = UNROLLED,
    target: str = "any",
) -> dict[str, Path]:
    """Precision -> file to write. `precision` "all" means every one that the target has, and `out` is a
    folder then.

    Without `out` the files go into the run directory, or beside the model file; those of a step say so
    in their names. Raises InputError for an unknown precision, and for a file in a folder's place.
    """
    path = Path(model)
    names = offered(target_named(target)) if precision == "all" else [precision_named(precision).name]
    if out is not None and precision != "all":
        return {precision: Path(out)}
    home, name = (path, path.resolve().name) if path.is_dir() else (path.parent, path.stem)
    folder = home if out is None else Path(out)
    if folder.is_file():
        raise InputError(f"{folder}: is a file: with --precision all, --out names a folder")
    suffix = "-step" if graph == STEP else ""
    return {precision: folder / f"{name}-{precision}{suffix}.tflite" for precision in names}


def precision_of(recipe: str | Path | None, precision: str) -> str:
    """The recipe's precision, where there is a recipe that sets one; InputError for a broken one."""
    return (recipe and read_recipe(recipe).precision) or precision


def convert_run(
    run_directory: str | Path, out: str | Path, *, precision: str = "int8", **options: Any
) -> Conversion:
    """Convert a run directory to the model file `out`, and prove it.

    `options` are those of `convert_each`. Raises ParityError when the file does not meet the budget or,
    with `require_engine`, is not proven everywhere, and what `convert_each` raises.
    """
    (result,) = convert_each(run_directory, {precision: out}, **options)
    return _proven(result)


def convert_model(
    model: Any, data: DataSource, out: str | Path, *, precision: str = "int8", **options: Any
) -> Conversion:
    """Convert a user's own model to the model file `out`, and prove it.

    `model`: a Keras model, or the path of a file (readers.open_source); `data`: the windows as the model
    takes them, the path of an .npz file or its arrays by name (readers.user_data). `options` are those
    of `convert_each`, `kind` (what the file is) and `labels` (the classes' names). Raises what
    `convert_run` raises.
    """
    (result,) = convert_each(model, {precision: out}, data=data, **options)
    return _proven(result)


def _proven(result: Conversion) -> Conversion:
    if not result:
        raise ParityError(result.refusal, result.report)
    return result


def _quiet(line: str) -> None:
    """Passes over what convert_each tells."""


def convert_each(
    model: Any,
    outputs: Mapping[str, str | Path],
    *,
    prove: bool = False,
    tell: Callable[[str], None] = _quiet,
    **options: Any,
) -> Iterator[Conversion]:
    """Convert a run or a model to several precisions, `outputs`: precision -> file; yields each result.

    `prove` makes an isolated environment for every engine of the target that is not here, which needs
    the network, and `tell` gets a line before each. `options` are the fields of settings.Settings, and
    those of open_source.open_source. Raises what these raise, InputError for an unknown precision or one
    that the target does not have, and EngineError when an environment cannot be made.
    """
    settings = Settings.of(options)
    for name, out in outputs.items():
        scheme_for(name, settings.target)
        if Path(out).is_dir():
            raise InputError(f"{out}: is a folder: --out names the file to write")
    source = open_source(model, **options)
    if prove:
        make_missing(settings.target, tell)
    for name, out in outputs.items():
        yield convert_source(source, out, precision=name, settings=settings)


def convert_source(
    source: Source, out: str | Path, *, precision: str, settings: Settings | None = None
) -> Conversion:
    """Compile, prove and write one file.

    When the proof fails, or with `require_engine` when an engine of the target is not here, nothing is
    left under `out`, not even an older file, so that nothing can be mistaken for the result.
    """
    settings, source = settings or Settings(), source.for_precision(precision)
    graph = _lowered(source, precision, settings)
    explanation = _explained(source, graph, out, precision, settings)
    flatbuffer = serialize(graph, strip=settings.strip)
    metadata = _metadata(source, flatbuffer, precision, settings, graph)
    report, probes = _proof(source, embed(flatbuffer, metadata), precision, settings, graph)
    if report.failed or (settings.require_engine and report.not_proven):
        Path(out).unlink(missing_ok=True)
        return Conversion(Path(out), None, report, metadata.choices, explanation)
    data = embed(flatbuffer, metadata.with_parity(report), probes)
    with replacing(out) as temporary:
        temporary.write_bytes(data)
    return Conversion(Path(out), len(data), report, metadata.choices, explanation)


def try_source(source: Source, *, precision: str, settings: Settings) -> tuple[bytes, ParityReport]:
    """The file's bytes, without probes, and its parity on the source's held-out windows; writes nothing.

    Raises what `convert_source` raises.
    """
    graph = _lowered(source, precision, settings)
    flatbuffer = serialize(graph, strip=settings.strip)
    data = embed(flatbuffer, _metadata(source, flatbuffer, precision, settings, graph))
    report, _ = _proof(source, data, precision, replace(settings, graph=UNROLLED), graph)
    return data, report


def _explained(
    source: Source, graph: Graph, out: str | Path, precision: str, settings: Settings
) -> Explanation | None:
    """The explanation, written to the folder as well. float32 loses nothing that could be explained."""
    if settings.explain is None or precision == "float32":
        return None
    if settings.graph != UNROLLED:
        raise InputError(f"--explain goes by time step: leave out --graph {settings.graph}")
    reference = float_graph(source.network)
    windows = source.calibration[:EXPLAINED_WINDOWS]
    found = explain(source.network, graph, reference, windows, precision=precision)
    folder = Path(settings.explain)
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / f"{Path(out).stem}.json") as temporary:
        temporary.write_text(json.dumps(found.to_json(), indent=2) + "\n", "utf-8")
    draw_explanation(found, folder / f"{Path(out).stem}.png")
    return found


def _lowered(source: Source, precision: str, settings: Settings) -> Graph:
    """The graph to write, with operators that every engine of the target loads."""
    target, finetuned = settings.target, source.finetuned
    if finetuned is not None and finetuned.graph.precision == precision:
        if settings.graph != UNROLLED:
            raise InputError(f"--graph {settings.graph}: a fine-tuned run has the graph {UNROLLED} only")
        if settings.recipe is not None and (settings.recipe.ranges or settings.recipe.weights):
            raise InputError(
                f"{settings.recipe.path}: the scales of a fine-tuned run are fixed: "
                "leave out [[range]] and [[weights]]"
            )
        graph = finetuned_graph(finetuned.graph, target)
    else:
        graph = lower(
            source.network,
            source.calibration,
            precision=precision,
            target=target,
            graph=settings.graph,
            recipe=settings.recipe,
        )
    check_operators(graph, target, scheme_for(precision, target))
    return graph


def _proof(
    source: Source, data: bytes, precision: str, settings: Settings, graph: Graph
) -> tuple[ParityReport, Probes | None]:
    """The parity report, and what the device will check, where the proof did not fail."""
    budget = settings.budget(precision_named(precision))
    with tempfile.TemporaryDirectory() as folder:
        candidate = Path(folder, "candidate.tflite")
        candidate.write_bytes(data)
        engines = find_proof_engines(settings.target)
        report = prove_file(candidate, source, budget=budget, engines=engines)
        if graph.states:
            report = with_row_proof(report, candidate, source, graph, engines)
        if report.failed:
            return report, None
        return report, choose_probes(candidate, source, report, engines, graph)


def _metadata(
    source: Source, flatbuffer: bytes, precision: str, settings: Settings, graph: Graph
) -> Metadata:
    choice = scheme_choice(
        source.network, source.calibration, precision=precision, target=settings.target
    )
    return Metadata(
        steps=source.network.steps,
        features=source.network.features,
        labels=source.labels,
        normalization=source.normalization,
        precision=precision,
        target=settings.target.name,
        flatbuffer_bytes=len(flatbuffer),
        flatbuffer_sha256=hashlib.sha256(flatbuffer).hexdigest(),
        source=source.origin,
        tools={
            "edge-rnn": edge_runtime.__version__,
            **source.tools,
            **{name: version(name) for name in ("numpy", "flatbuffers", "ai-edge-litert")},
        },
        choices=tuple(str(item) for item in (choice, settings.recipe) if item is not None),
        graph=STEP if graph.states else UNROLLED,
        states=state_labels(graph),
        shared_weights=can_share_weights(graph),
    )
