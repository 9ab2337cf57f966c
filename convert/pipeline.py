"""The whole story of a conversion: read the run, compile, prove, embed the proof, put it in place."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import edge_runtime
from convert.compile import compile_network
from convert.embed import embed
from convert.from_keras import network_from_keras
from convert.full_model import full_logits, load_full_model, tensorflow_version
from convert.network import Network
from convert.parity import prove
from convert.precision import PRECISIONS, Precision, precision_named
from convert.target import Target, target_named
from edge_runtime.atomic_file import replacing
from edge_runtime.errors import InputError, ParityError
from edge_runtime.metadata import Metadata
from edge_runtime.parity_report import FEW_WINDOWS, ParityBudget, ParityReport
from edge_runtime.run_directory import LabelledWindows, Run

CALIBRATION_SAMPLES = 500
PARITY_WINDOWS = 10_000


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


@dataclass(frozen=True, eq=False)
class Source:
    """A run, read once and converted to any number of precisions."""

    run: Run
    network: Network
    calibration: NDArray[np.float32]
    """Normalized calibration windows `[N, steps, features]`."""
    held_out: LabelledWindows
    """Raw held-out windows."""
    logits: NDArray[np.float32]
    """The full model's, for the held-out windows."""

    @classmethod
    def open(
        cls,
        run_directory: str | Path,
        *,
        calibration_samples: int = CALIBRATION_SAMPLES,
        calibration_seed: int = 0,
        parity_windows: int = PARITY_WINDOWS,
    ) -> Source:
        """Read a run directory and compute the full model's logits.

        `calibration_samples`: windows of the training split, stratified, chosen by
        `calibration_seed`. `parity_windows`: at most this many windows of the test split, stratified;
        at least 1,000, unless the split has fewer. Raises DataError for a directory that cannot be
        used, InputError for a value out of range, and MissingExtraError without TensorFlow.
        """
        for option, value, least in (
            ("calibration-samples", calibration_samples, 1),
            ("calibration-seed", calibration_seed, 0),
            ("parity-windows", parity_windows, FEW_WINDOWS),
        ):
            if value < least:
                raise InputError(f"--{option} is {value}: expected at least {least}")
        run = Run.open(run_directory)
        model = load_full_model(run.model)
        network = network_from_keras(model)
        normalize = run.record.normalization.apply
        samples = run.calibration_windows().stratified_sample(calibration_samples, calibration_seed)
        held_out = run.test_windows().stratified_sample(parity_windows, seed=0)
        logits = full_logits(model, normalize(held_out.x))
        return cls(run, network, normalize(samples.x), held_out, logits)


def output_files(run_directory: str | Path, precision: str, out: str | None) -> dict[str, Path]:
    """Precision -> file to write. `precision` "all" means every one, and `out` is a folder then.

    Without `out` the files go into the run directory. Raises InputError for an unknown precision, and
    for a file where a folder is expected.
    """
    run = Path(run_directory)
    names = list(PRECISIONS) if precision == "all" else [precision_named(precision).name]
    if out is not None and precision != "all":
        return {precision: Path(out)}
    folder = run if out is None else Path(out)
    if folder.is_file():
        raise InputError(f"{folder}: is a file: with --precision all, --out names a folder")
    return {name: folder / f"{run.resolve().name}-{name}.tflite" for name in names}


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
    if not result:
        raise ParityError(f"{out}: not written: the parity proof failed", result.report)
    return result


def convert_each(
    run_directory: str | Path,
    outputs: Mapping[str, str | Path],
    *,
    target: str = "any",
    min_agreement: float | None = None,
    max_logit_difference: float | None = None,
    **options: int,
) -> Iterator[Conversion]:
    """Convert a run to several precisions, `outputs`: precision -> file; yields each result in turn.

    `min_agreement` (0 to 1) and `max_logit_difference` take the place of each precision's own budget.
    `options` go to Source.open. Raises what Source.open raises, and InputError for an unknown
    precision or target.
    """
    engines = target_named(target)
    budgets = {
        name: _budget(precision_named(name), min_agreement, max_logit_difference) for name in outputs
    }
    for out in outputs.values():
        if Path(out).is_dir():
            raise InputError(f"{out}: is a folder: --out names the file to write")
    source = Source.open(run_directory, **options)
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
        report = prove(candidate, source.held_out, source.logits, budget=budget, target=target)
    if not report:
        Path(out).unlink(missing_ok=True)
        return Conversion(Path(out), None, report)
    data = embed(flatbuffer, replace(metadata, parity=report))
    with replacing(out) as temporary:
        temporary.write_bytes(data)
    return Conversion(Path(out), len(data), report)


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
    record = source.run.record
    return Metadata(
        steps=record.steps,
        features=record.features,
        labels=record.labels,
        normalization=record.normalization,
        precision=precision,
        target=target.name,
        flatbuffer_bytes=len(flatbuffer),
        flatbuffer_sha256=hashlib.sha256(flatbuffer).hexdigest(),
        source={
            "model_sha256": record.model_sha256,
            "dataset": str(record.dataset["name"]),
            "dataset_digest": str(record.dataset["digest"]),
        },
        tools={
            "edge-rnn": edge_runtime.__version__,
            "tensorflow": tensorflow_version(),
            **{name: version(name) for name in ("numpy", "flatbuffers", "ai-edge-litert")},
        },
    )
