"""Compares model files with their full model and records all that was found."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from convert.evidence.answers import Compared, EngineAnswers, answers_of, logits_sha256
from convert.evidence.compare_classes import compare_classes
from convert.evidence.drift import measure_drift
from convert.evidence.figures import Drift
from convert.evidence.identity import identify
from convert.evidence.judge_runs import judge_model, judge_result, worst_verdict
from convert.evidence.logit_errors import shown_windows
from convert.evidence.record import (
    NOT_RUN,
    REFUTED,
    BudgetRecord,
    EngineRun,
    Evidence,
    ModelRecord,
    NotProven,
    ReferenceRecord,
    ResultRecord,
)
from convert.evidence.reference import open_reference
from convert.evidence.sizes import measure_sizes
from convert.evidence.statistics import wilson
from convert.proof.engines import ProofEngines, find_proof_engines
from convert.readers.read_options import ReadOptions
from convert.targets.precision import precision_named
from convert.targets.target import target_named
from edge_runtime.model_file.parity_figures import ParityBudget
from edge_runtime.model_file.read_file import ModelFile, read_model_file
from edge_runtime.numpy_engine.read_graph import read_graph
from edge_runtime.tflite.graph import Graph


def prove_parity(
    reference: Any,
    models: Sequence[str | Path],
    *,
    data: Any = None,
    read: ReadOptions | None = None,
    min_agreement: float | None = None,
    max_logit_difference: float | None = None,
    strict: bool = False,
    command: str | None = None,
) -> Evidence:
    """Run every model file in every engine and compare its answers with the reference's."""
    files = {str(path): read_model_file(path) for path in models}
    digests = {file.metadata.source.get("dataset_digest", "") for file in files.values()}
    compared = open_reference(reference, read or ReadOptions(data=data), digests)
    records = tuple(
        _model_record(path, file, compared, min_agreement, max_logit_difference)
        for path, file in files.items()
    )
    verdict = worst_verdict([record.verdict for record in records])
    worst = next(record for record in records if record.verdict == verdict)
    shown = {item.window for record in records for result in record.results for item in result.worst}
    engines = {run.engine: run.version for record in records for run in record.runs}
    return Evidence(
        identity=identify(command, engines),
        reference=_reference_record(compared),
        models=records,
        windows=shown_windows(compared, shown),
        verdict=verdict,
        summary=f"{verdict}: {worst.name}, {worst.reason}",
        strict=strict,
    )


def _reference_record(compared: Compared) -> ReferenceRecord:
    source = compared.source
    classes = source.logits.argmax(axis=1)
    truth = source.held_out.y if source.labelled else None
    in_order = np.array_equal(compared.positions, np.arange(len(classes)))
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
        count=len(classes),
        positions=() if in_order else tuple(compared.positions.tolist()),
        classes=tuple(classes.tolist()),
        truth=None if truth is None else tuple(truth.tolist()),
        logits_sha256=logits_sha256(source.logits),
        accuracy=None if truth is None else wilson(int((classes == truth).sum()), len(truth)),
        versions=source.tools,
    )


def _model_record(
    path: str,
    file: ModelFile,
    compared: Compared,
    min_agreement: float | None,
    max_logit_difference: float | None,
) -> ModelRecord:
    metadata = file.metadata
    compared = compared.for_precision(metadata.precision)
    engines = find_proof_engines(target_named(metadata.target))
    answers = answers_of(path, compared.source.held_out.x, engines)
    own = metadata.parity.budget if metadata.parity else precision_named(metadata.precision).budget
    budget = ParityBudget(
        own.min_agreement if min_agreement is None else min_agreement,
        own.max_logit_difference if max_logit_difference is None else max_logit_difference,
    )
    results, runs = _judged(answers, compared, budget, read_graph(file.flatbuffer))
    verdict, reason = judge_model(runs)
    data = Path(path).read_bytes()
    drift = measure_drift(file, compared.source)
    return ModelRecord(
        name=Path(path).name,
        path=path,
        sha256=hashlib.sha256(data).hexdigest(),
        flatbuffer_sha256=metadata.flatbuffer_sha256,
        precision=metadata.precision,
        target=metadata.target,
        graph=metadata.graph,
        tools=metadata.tools,
        budget=BudgetRecord(budget.min_agreement, budget.max_logit_difference),
        verdict=verdict,
        reason=reason,
        runs=runs,
        results=results,
        not_proven=_not_proven(engines),
        sizes=measure_sizes(path, file),
        drift=drift if isinstance(drift, Drift) else None,
        notes=metadata.notes,
    )


def _judged(
    answers: list[EngineAnswers], compared: Compared, budget: ParityBudget, graph: Graph
) -> tuple[tuple[ResultRecord, ...], tuple[EngineRun, ...]]:
    results: dict[str, ResultRecord] = {}
    runs = []
    for answer in answers:
        engine = answer.engine
        fields = (engine.distribution, engine.version, answer.kernels, engine.required)
        if answer.logits is None:
            verdict = REFUTED if engine.required else NOT_RUN
            runs.append(EngineRun(*fields, verdict, answer.failure, None))
            continue
        digest = logits_sha256(answer.logits)
        if digest not in results:
            near = np.zeros(len(answer.logits), bool)
            results[digest] = compare_classes(compared, answer.logits, near, _output_scale(graph))
        verdict, reason = judge_result(results[digest], budget)
        runs.append(EngineRun(*fields, verdict, reason, list(results).index(digest)))
    return tuple(results.values()), tuple(runs)


def _output_scale(graph: Graph) -> float | None:
    quantization = graph.tensors[graph.output].quantization
    return None if quantization is None or not quantization.scale else quantization.scale[0]


def _not_proven(engines: ProofEngines) -> tuple[NotProven, ...]:
    return tuple(
        NotProven(engine.name, "the engine is not installed here") for engine in engines.missing
    )
