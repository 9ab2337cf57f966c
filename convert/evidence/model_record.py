"""The record of one model file: its runs in all engines, their figures, its drift and its sizes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from convert.evidence.answers import Compared, EngineAnswers, answers_of, logits_sha256
from convert.evidence.compare_classes import compare_classes
from convert.evidence.drift import measure_drift
from convert.evidence.figures import Drift
from convert.evidence.judge_runs import judge_model, judged_run, run_without_answers
from convert.evidence.not_proven import not_proven
from convert.evidence.record import BudgetRecord, EngineRun, ModelRecord, ResultRecord
from convert.evidence.sizes import measure_sizes
from convert.proof.engines import find_proof_engines
from convert.targets.precision import precision_named
from convert.targets.target import target_named
from edge_runtime.errors import InputError
from edge_runtime.model_file.metadata import CLASSIFICATION, Metadata
from edge_runtime.model_file.parity_figures import ParityBudget
from edge_runtime.model_file.read_file import ModelFile
from edge_runtime.numpy_engine.read_graph import read_graph


@dataclass(frozen=True)
class Allowance:
    """What the user allows in place of a file's own budget; None: the file's."""

    min_agreement: float | None = None
    max_logit_difference: float | None = None

    def budget(self, metadata: Metadata) -> ParityBudget:
        """The budget of a file: the user's, or that of its proof, or that of its precision."""
        own = precision_named(metadata.precision).budget
        if metadata.parity and isinstance(metadata.parity.budget, ParityBudget):
            own = metadata.parity.budget
        return ParityBudget(
            own.min_agreement if self.min_agreement is None else self.min_agreement,
            own.max_logit_difference if self.max_logit_difference is None else self.max_logit_difference,
        )


def model_record(path: str, file: ModelFile, compared: Compared, allowance: Allowance) -> ModelRecord:
    """Run the file at `path` in every engine and record all that was found.

    Raises InputError for a file that gives numbers, as the record compares classes.
    """
    metadata = file.metadata
    if metadata.task != CLASSIFICATION:
        raise InputError(
            f"{path}: its task is {metadata.task}, and this report compares classes. See its proof with "
            "edge-rnn inspect."
        )
    compared = compared.for_precision(metadata.precision)
    engines = find_proof_engines(target_named(metadata.target))
    answers = answers_of(path, compared.source.held_out.x, engines)
    budget = allowance.budget(metadata)
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
        budget=BudgetRecord(budget.min_agreement, budget.max_logit_difference),
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
    answers: list[EngineAnswers], compared: Compared, budget: ParityBudget, output_scale: float | None
) -> tuple[tuple[ResultRecord, ...], tuple[EngineRun, ...]]:
    """Figures are measured once for all runs with the same bits."""
    results: dict[str, ResultRecord] = {}
    runs = []
    for answer in answers:
        if answer.logits is None:
            runs.append(run_without_answers(answer))
            continue
        digest = logits_sha256(answer.logits)
        if digest not in results:
            results[digest] = compare_classes(compared, answer.logits, output_scale)
        runs.append(judged_run(answer, results[digest], list(results).index(digest), budget))
    return tuple(results.values()), tuple(runs)


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
