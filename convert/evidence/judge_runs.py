"""The verdict on each engine run, on a file, and on all files."""

from __future__ import annotations

from convert.evidence.figures import Proportion
from convert.evidence.record import (
    NOT_REFUTED,
    NOT_RUN,
    PROVEN,
    REFUTED,
    EngineRun,
    ResultRecord,
)
from edge_runtime.model_file.parity_figures import ParityBudget


def judge_result(result: ResultRecord, budget: ParityBudget) -> tuple[str, str]:
    """Verdict and reason."""
    agreement = result.agreement
    assert agreement is not None
    limit = budget.max_logit_difference
    if limit is not None and not result.logit_errors.max <= limit:
        return REFUTED, f"a logit is off by {result.logit_errors.max:.5g}, allowed is {limit:g}"
    said = f"agreement {_percent(agreement)}, budget {100 * budget.min_agreement:.2f} %"
    if agreement.low >= budget.min_agreement:
        return PROVEN, said
    if agreement.high < budget.min_agreement:
        return REFUTED, said
    return NOT_REFUTED, f"{said}: too few windows to prove it"


def judge_model(runs: tuple[EngineRun, ...]) -> tuple[str, str]:
    """The worst verdict of the runs that count, with its reason."""
    for verdict in (REFUTED, NOT_REFUTED):
        found = [run for run in runs if run.verdict == verdict]
        if found:
            return verdict, f"{found[0].name}: {found[0].reason}"
    proven = [run for run in runs if run.required and run.verdict == PROVEN]
    if not proven:
        return NOT_RUN, "no engine of the target ran the file"
    return PROVEN, f"{proven[0].name}: {proven[0].reason}"


def worst_verdict(verdicts: list[str]) -> str:
    """The worst of several."""
    return next(word for word in (REFUTED, NOT_RUN, NOT_REFUTED, PROVEN) if word in verdicts)


def _percent(proportion: Proportion) -> str:
    return f"{100 * proportion.share:.2f} % of {proportion.total:,} windows"
