"""The whole story of a conversion: read the model, compile, prove, embed the proof, put it in place."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import edge_runtime
from convert.compile import compile_network
from convert.embed import embed
from convert.open_source import open_source
from convert.parity import prove
from convert.precision import PRECISIONS, Precision, precision_named, scheme_for
from convert.source import Source
from convert.target import Target, target_named
from convert.user_data import DataSource
from edge_runtime.atomic_file import replacing
from edge_runtime.errors import InputError, ParityError
from edge_runtime.metadata import Metadata
from edge_runtime.parity_report import ParityBudget, ParityReport


@dataclass(frozen=True)
class Conversion:
    """The outcome for one precision: truthy when the file passed its proof and was written."""

    path: Path
    file_bytes: int | None
    """Size of the written file; None when the proof failed and nothing was written."""
    report: ParityReport

    def __bool__(self) -> bool:
        return self.file_bytes is not None

    def __str__(self) -> str:
        """The parity table, and what became of the file."""
        if self.file_bytes is None:
            return f"{self.report}\n{self.path}: not written: the parity proof failed"
        return f"{self.report}\n{self.path}: written, {self.file_bytes:,} bytes with metadata"


def output_files(model: str | Path, precision: str, out: str | None) -> dict[str, Path]:
    """Precision -> file to write. `precision` "all" means every one, and `out` is a folder then.

    Without `out` the files go into the run directory, or beside the model file. Raises InputError for
    an unknown precision, and for a file where a folder is expected.
    """
    path = Path(model)
    names = list(PRECISIONS) if precision == "all" else [precision_named(precision).name]
    if out is not None and precision != "all":
        return {precision: Path(out)}
    home, name = (path, path.resolve().name) if path.is_dir() else (path.parent, path.stem)
    folder = home if out is None else Path(out)
    if folder.is_file():
        raise InputError(f"{folder}: is a file: with --precision all, --out names a folder")
    return {precision: folder / f"{name}-{precision}.tflite" for precision in names}


def convert_run(
    run_directory: str | Path,
    out: str | Path,
    *,
    precision: str = "int8",
    target: str = "any",
    **options: Any,
) -> Conversion:
    """Convert a run directory to the model file `out`, and prove it.

    `options` are those of `convert_each`. Raises ParityError when the file does not meet the budget,
    and what `convert_each` raises.
    """
    (result,) = convert_each(run_directory, {precision: out}, target=target, **options)
    return _proven(result)


def convert_model(
    model: Any,
    data: DataSource,
    out: str | Path,
    *,
    precision: str = "int8",
    target: str = "any",
    kind: str | None = None,
    **options: Any,
) -> Conversion:
    """Convert a user's own model to the model file `out`, and prove it.

    `model`: a Keras model, or the path of a file (convert.open_source); `data`: the windows as the model
    takes them, the path of an .npz file or its arrays by name (convert.user_data). `options` are those
    of `convert_each` and `labels`, the classes' names. Raises ParityError when the file does not meet
    the budget, and what `convert_each` raises.
    """
    (result,) = convert_each(model, {precision: out}, target=target, kind=kind, data=data, **options)
    return _proven(result)


def convert_each(
    model: Any,
    outputs: Mapping[str, str | Path],
    *,
    target: str = "any",
    min_agreement: float | None = None,
    max_logit_difference: float | None = None,
    **options: Any,
) -> Iterator[Conversion]:
    """Convert a run or a model to several precisions, `outputs`: precision -> file; yields each result.

    `min_agreement` (0 to 1) and `max_logit_difference` take the place of each precision's own budget.
    `model` and `options` go to open_source. Raises what that raises, and InputError for an unknown
    precision or target, or for a precision that the target does not have.
    """
    engines = target_named(target)
    budgets = {
        name: _budget(precision_named(name), min_agreement, max_logit_difference) for name in outputs
    }
    for out in outputs.values():
        if Path(out).is_dir():
            raise InputError(f"{out}: is a folder: --out names the file to write")
    for name in outputs:
        scheme_for(name, engines)
    source = open_source(model, **options)
    for name, out in outputs.items():
        yield convert_source(source, out, precision=name, target=engines, budget=budgets[name])


def convert_source(
    source: Source, out: str | Path, *, precision: str, target: Target, budget: ParityBudget
) -> Conversion:
    """Compile, prove and write one file.

    When the proof fails nothing is left under `out`, not even an older file, so that nothing can be
    mistaken for the result.
    """
    flatbuffer = compile_network(
        source.network, source.calibration, precision=precision, target=target.name
    )
    metadata = _metadata(source, flatbuffer, precision, target)
    with tempfile.TemporaryDirectory() as folder:
        candidate = Path(folder, "candidate.tflite")
        candidate.write_bytes(embed(flatbuffer, metadata))
        report = prove(candidate, source, budget=budget, target=target)
    if not report:
        Path(out).unlink(missing_ok=True)
        return Conversion(Path(out), None, report)
    data = embed(flatbuffer, replace(metadata, parity=report))
    with replacing(out) as temporary:
        temporary.write_bytes(data)
    return Conversion(Path(out), len(data), report)


def _proven(result: Conversion) -> Conversion:
    if not result:
        raise ParityError(f"{result.path}: not written: the parity proof failed", result.report)
    return result


def _budget(
    precision: Precision, min_agreement: float | None, max_logit_difference: float | None
) -> ParityBudget:
    own = precision.budget
    if min_agreement is not None and not 0 <= min_agreement <= 1:
        raise InputError(f"--min-agreement is {min_agreement}: expected 0 to 1")
    if max_logit_difference is not None and not max_logit_difference >= 0:
        raise InputError(f"--max-logit-difference is {max_logit_difference}: expected at least 0")
    return ParityBudget(
        own.min_agreement if min_agreement is None else min_agreement,
        own.max_logit_difference if max_logit_difference is None else max_logit_difference,
    )


def _metadata(source: Source, flatbuffer: bytes, precision: str, target: Target) -> Metadata:
    return Metadata(
        steps=source.network.steps,
        features=source.network.features,
        labels=source.labels,
        normalization=source.normalization,
        precision=precision,
        target=target.name,
        flatbuffer_bytes=len(flatbuffer),
        flatbuffer_sha256=hashlib.sha256(flatbuffer).hexdigest(),
        source=source.origin,
        tools={
            "edge-rnn": edge_runtime.__version__,
            **source.tools,
            **{name: version(name) for name in ("numpy", "flatbuffers", "ai-edge-litert")},
        },
    )
