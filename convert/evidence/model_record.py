"""The record of one model file: its runs in all engines, their figures, its drift and its sizes."""

from __future__ import annotations

import hashlib
from dataclasses import fields, replace
from pathlib import Path

from convert.evidence.answers import Compared, EngineAnswers, answers_of, logits_sha256
from convert.evidence.compare_classes import compare_classes
from convert.evidence.compare_numbers import compare_numbers
from convert.evidence.drift import measure_drift
from convert.evidence.figures import Drift
from convert.evidence.judge_runs import judge_model, judged_run, run_without_answers
from convert.evidence.not_proven import not_proven
from convert.evidence.record import BudgetRecord, EngineRun, ModelRecord, ResultRecord
from convert.evidence.sizes import measure_sizes
from convert.options import ConversionOptions
from convert.proof.engines import find_proof_engines
from convert.targets.precision import precision_named
from convert.targets.target import target_named
from edge_runtime.model_file.metadata import CLASSIFICATION, Metadata
from edge_runtime.model_file.number_parity import ErrorBudget
from edge_runtime.model_file.parity_figures import Budget
from edge_runtime.model_file.read_file import ModelFile
from edge_runtime.numpy_engine.read_graph import read_graph


def budget_of(metadata: Metadata, limits: ConversionOptions) -> Budget:
    """The budget of a file: that of its proof, or of its precision, with the user's `limits` instead.

    Raises InputError for limits that the file's task does not have.
    """
    limits.check_task(metadata.task)
    default = limits.budget(precision_named(metadata.precision), metadata.task)
    own = default if metadata.parity is None else metadata.parity.budget
    given = {item.name: getattr(limits, item.name) for item in fields(own)}
    return replace(own, **{name: value for name, value in given.items() if value is not None})


def model_record(
    path: str, file: ModelFile, compared: Compared, limits: ConversionOptions
) -> ModelRecord:
    """Run the file at `path` in every engine and record all that was found.

    `limits`: the user's parts of the budget, which the file's own would be otherwise.
    """
    metadata = file.metadata
    budget = budget_of(metadata, limits)
    compared = compared.for_precision(metadata.precision)
    engines = find_proof_engines(target_named(metadata.target))
    answers = answers_of(path, compared.source.held_out.x, engines)
    results, runs = _judged(answers, compared, budget, _output_scale(file.flatbuffer))
    drift = measure_drift(file, compared.source)
    verdict, reason = judge_model(runs, results, None)
    return ModelRecord(
        name=Path(path).name,
        path=path,
        sha256=hashlib.sha256(Path(path).read_bytes()).hexdigest(),
        flatbuffer_sha256=metadata.flatbuffer_sha256,
        precision=metadata.precision,
        target=metadata.target,
        graph=metadata.graph,
        tools=metadata.tools,
        budget=_budget_record(budget),
        verdict=verdict,
        reason=reason,
        runs=runs,
        results=results,
        not_proven=not_proven(file, compared, engines, runs, drift if isinstance(drift, str) else None),
        sizes=measure_sizes(path, file, compared.source.held_out.x),
        drift=drift if isinstance(drift, Drift) else None,
        notes=_notes(file, compared),
    )


def _judged(
    answers: list[EngineAnswers], compared: Compared, budget: Budget, output_scale: float | None
) -> tuple[tuple[ResultRecord, ...], tuple[EngineRun, ...]]:
    """Figures are measured once for all runs with the same bits."""
    compare = compare_classes if compared.task == CLASSIFICATION else compare_numbers
    results: dict[str, ResultRecord] = {}
    runs = []
    for answer in answers:
        if answer.logits is None:
            runs.append(run_without_answers(answer))
            continue
        digest = logits_sha256(answer.logits)
        if digest not in results:
            results[digest] = compare(compared, answer.logits, output_scale)
        runs.append(judged_run(answer, results[digest], list(results).index(digest), budget))
    return tuple(results.values()), tuple(runs)


def _budget_record(budget: Budget) -> BudgetRecord:
    if isinstance(budget, ErrorBudget):
        return BudgetRecord(None, max_normalized_error=budget.max_error, min_cosine=budget.min_cosine)
    return BudgetRecord(budget.min_agreement, budget.max_logit_difference)


def _output_scale(flatbuffer: bytes) -> float | None:
    graph = read_graph(flatbuffer)
    quantization = graph.tensors[graph.output].quantization
    return None if quantization is None or not quantization.scale else quantization.scale[0]


def _notes(file: ModelFile, compared: Compared) -> tuple[str, ...]:
    """The file's own, and whether the reference is the model that it was made from."""
    recorded = file.metadata.source.get("model_sha256")
    found = compared.source.origin.get("model_sha256")
    if recorded and found and recorded != found:
        other = (
            f"The file was converted from another model (SHA-256 {recorded[:12]}...) than the reference "
            f"({found[:12]}...)."
        )
        return (*file.metadata.notes, other)
    return file.metadata.notes
