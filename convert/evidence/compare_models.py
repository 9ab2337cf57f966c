"""Compares model files with their full model and records all that was found: `prove_parity`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from convert.evidence.answers import Compared, logits_sha256
from convert.evidence.difference import with_baseline
from convert.evidence.identity import identify
from convert.evidence.judge_runs import judge_model, worst_verdict
from convert.evidence.logit_errors import shown_windows
from convert.evidence.model_record import budget_of, model_record
from convert.evidence.record import Evidence, ModelRecord, ReferenceRecord
from convert.evidence.record_file import read_evidence
from convert.evidence.reference import open_reference
from convert.evidence.statistics import wilson
from convert.evidence.vectors import check_vectors_folder, write_vectors
from convert.options import ConversionOptions
from convert.readers.read_options import ReadOptions
from edge_runtime.errors import DataError, InputError
from edge_runtime.model_file.metadata import CLASSIFICATION
from edge_runtime.model_file.read_file import ModelFile, read_model_file


@dataclass(frozen=True)
class ParityOptions:
    """How files are compared, besides how the reference is read (ReadOptions)."""

    min_agreement: float | None = None
    """The smallest share of windows, 0 to 1, of the reference's class. None: the file's budget."""
    max_logit_difference: float | None = None
    """The largest difference that a logit may have. None: the budget in the file."""
    max_error: float | None = None
    """Of numbers: the largest error, in standard deviations of the output. None: the file's budget."""
    min_cosine: float | None = None
    """Of an embedding: the smallest cosine with the reference's vector. None: the file's budget."""
    strict: bool = False
    """Whether a file that is not refuted, but not proven either, fails."""
    baseline: str | Path | None = None
    """An older record (--json) that the difference is measured to."""
    vectors: str | Path | None = None
    """The folder for golden vectors."""

    def __post_init__(self) -> None:
        _ = self.limits

    @property
    def limits(self) -> ConversionOptions:
        """The parts of the budget, as `convert` takes them. Raises InputError for one out of range."""
        return ConversionOptions(
            min_agreement=self.min_agreement,
            max_logit_difference=self.max_logit_difference,
            max_error=self.max_error,
            min_cosine=self.min_cosine,
        )


def prove_parity(
    reference: Any,
    models: str | Path | Sequence[str | Path],
    data: str | Path | Mapping[str, Any] | None = None,
    *,
    read: ReadOptions | None = None,
    options: ParityOptions | None = None,
    command: str | None = None,
) -> Evidence:
    """Run model files in every engine and compare their answers with the full model's.

        from convert.evidence import prove_parity

        evidence = prove_parity("runs/mnist", ["mnist-int8.tflite"])
        print(evidence)  # the verdict line
        assert evidence

    - `reference`: a run directory, or a model that `convert_model` takes, which needs `data`.
    - `models`: files written by `edge-rnn convert`.
    - `data`: an .npz file (or its arrays) with windows x, their classes y and, if they are known, the
      group of each window. Of a run directory it takes the place of the run's test split.
    - `read`: how the reference is read, `data` included. Default: as `convert` reads it.
    - `options`: budget, baseline and golden vectors. Default: the budget in each file.
    - `command`: what made the record, as text for it. Default: the running program's command line.

    Files are written for `options.vectors` alone. Raises InputError, DataError and ModelError for
    anything that cannot be read or does not fit together, before TensorFlow is loaded where that can be
    told. An engine that refuses a file or crashes is a part of the record.
    """
    chosen, paths = options or ParityOptions(), _paths(models)
    files = {str(path): read_model_file(path) for path in paths}
    _check_alike(files)
    for file in files.values():
        budget_of(file.metadata, chosen.limits)  # says which option does not fit
    before = None if chosen.baseline is None else read_evidence(chosen.baseline)
    if chosen.vectors is not None:
        check_vectors_folder(chosen.vectors, paths)
    how = read or ReadOptions(data=data)
    _check_data(how, files)
    compared = open_reference(reference, how, [file.metadata for file in files.values()])
    _check_fits(files, compared)
    records = tuple(model_record(path, file, compared, chosen.limits) for path, file in files.items())
    evidence = _evidence(records, compared, command, strict=chosen.strict)
    if before is not None:
        evidence = with_verdict(with_baseline(evidence, before, Path(str(chosen.baseline)).name))
    if chosen.vectors is not None:
        write_vectors(chosen.vectors, evidence, compared.source.held_out.x, compared.positions)
    return evidence


def with_verdict(evidence: Evidence) -> Evidence:
    """The record with the verdicts of its files and its own, from their runs and baselines."""
    judged = []
    for model in evidence.models:
        verdict, reason = judge_model(model.runs, model.results, model.baseline)
        judged.append(replace(model, verdict=verdict, reason=reason))
    worst = worst_verdict([model.verdict for model in judged])
    named = next(model for model in judged if model.verdict == worst)
    others = f"{len(judged)} files; " if len(judged) > 1 else ""
    summary = f"{worst}: {others}{named.path}: {named.reason}"
    return replace(evidence, models=tuple(judged), verdict=worst, summary=summary)


def _paths(models: str | Path | Sequence[str | Path]) -> list[str | Path]:
    paths = [models] if isinstance(models, (str, Path)) else list(models)
    if not paths:
        raise InputError("MODEL: is missing. Name at least one .tflite file of 'edge-rnn convert'.")
    names = [Path(path).name for path in paths]
    twice = next((path for path in paths if names.count(Path(path).name) > 1), None)
    if twice is not None:
        raise InputError(f"{twice}: two files have the same name. Rename one, as reports go by name.")
    return paths


def _check_alike(files: Mapping[str, ModelFile]) -> None:
    """Files of one comparison answer the same question."""
    (first, file), *others = files.items()
    for path, other in others:
        if _question(other) != _question(file):
            raise InputError(
                f"{path}: takes other windows or has other outputs than {first}. Compare them one by "
                "one."
            )


def _question(file: ModelFile) -> tuple[Any, ...]:
    metadata = file.metadata
    return metadata.steps, metadata.features, metadata.labels, metadata.task


def _check_data(read: ReadOptions, files: Mapping[str, ModelFile]) -> None:
    """Told before the reference is opened, which may take long."""
    if read.data is None:
        return
    data, (path, file) = read.windows(), next(iter(files.items()))
    expected = (file.metadata.steps, file.metadata.features)
    if data.window_shape != expected:
        raise DataError(
            f"{data.name}: the windows have shape {list(data.window_shape)}. {path} takes "
            f"{list(expected)} (steps, features)."
        )


def _check_fits(files: Mapping[str, ModelFile], compared: Compared) -> None:
    source = compared.source
    expected = (source.network.steps, source.network.features, len(source.labels), source.task)
    for path, file in files.items():
        metadata = file.metadata
        found = (metadata.steps, metadata.features, len(metadata.labels), metadata.task)
        if found != expected:
            raise InputError(
                f"{path}: {_described(found)}. {compared.name}: {_described(expected)}. Name the model "
                "that the file was converted from."
            )


def _described(question: tuple[int, int, int, str]) -> str:
    steps, features, outputs, task = question
    return f"a {task} of windows of {steps} x {features} with {outputs} outputs"


def _evidence(
    records: tuple[ModelRecord, ...], compared: Compared, command: str | None, *, strict: bool
) -> Evidence:
    shown = {item.window for record in records for result in record.results for item in result.worst}
    engines = {run.engine: run.version for record in records for run in record.runs}
    return with_verdict(
        Evidence(
            identity=identify(command, engines),
            reference=_reference_record(compared),
            models=records,
            windows=shown_windows(compared, shown),
            verdict="",
            summary="",
            strict=strict,
        )
    )


def _reference_record(compared: Compared) -> ReferenceRecord:
    source = compared.source
    classes = source.logits.argmax(axis=1) if source.task == CLASSIFICATION else np.zeros(0, np.int64)
    truth = source.held_out.y if source.labelled else None
    in_order = np.array_equal(compared.positions, np.arange(len(source.logits)))
    return ReferenceRecord(
        name=compared.name,
        sha256=source.origin.get("model_sha256", ""),
        task=compared.task,
        labels=source.labels,
        steps=source.network.steps,
        features=source.network.features,
        data=compared.data_name,
        data_sha256=compared.data_sha256,
        windows_sha256=compared.windows_sha256,
        split=source.split,
        count=len(source.logits),
        positions=() if in_order else tuple(compared.positions.tolist()),
        classes=tuple(classes.tolist()),
        truth=None if truth is None else tuple(truth.tolist()),
        logits_sha256=logits_sha256(source.logits),
        accuracy=None if truth is None else wilson(int((classes == truth).sum()), len(truth)),
        versions=source.tools,
    )
