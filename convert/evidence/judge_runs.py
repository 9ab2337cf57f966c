"""The verdict on each engine run, on a file, and on all files."""

from __future__ import annotations

import math

from convert.evidence.answers import HASH_DIGITS, EngineAnswers
from convert.evidence.difference import WORSE
from convert.evidence.figures import Proportion
from convert.evidence.record import (
    BaselineRecord,
    Check,
    EngineRun,
    ResultRecord,
)
from edge_runtime.model_file.binomial import NOT_REFUTED, PROVEN, REFUTED, judge
from edge_runtime.model_file.number_parity import ErrorBudget, judge_error
from edge_runtime.model_file.parity_figures import Budget
from edge_runtime.model_file.parity_report import NOT_RUN

ORDER = (REFUTED, NOT_RUN, NOT_REFUTED, PROVEN)
"""Verdicts, the worst first."""


def run_without_answers(answers: EngineAnswers) -> EngineRun:
    """An engine that refused the file or crashed. If the target includes it, the file is refuted."""
    verdict = REFUTED if answers.engine.required else NOT_RUN
    check = Check("answers", verdict, answers.failure)
    return _run(answers, (check,), None)


def judged_run(answers: EngineAnswers, result: ResultRecord, index: int, budget: Budget) -> EngineRun:
    """An engine's run with the figures `result`, which are at `index` in the record."""
    count = len(result.window_hashes) // HASH_DIGITS
    answered = Check("answers", PROVEN, f"gave the outputs of all {count:,} windows")
    if isinstance(budget, ErrorBudget):
        return _run(answers, (answered, *_number_checks(result, count, budget)), index)
    checks = [answered]
    if result.judged is not None:
        checks.append(_agreement(result.judged, result.near_ties, budget.min_agreement))
    limit = budget.max_logit_difference
    if limit is not None:
        largest = result.logit_errors.max
        verdict = PROVEN if largest <= limit else REFUTED  # NaN is refuted
        checks.append(Check("logit difference", verdict, f"at most {largest:.3g}, allowed {limit:g}"))
    return _run(answers, tuple(checks), index)


def judge_model(
    runs: tuple[EngineRun, ...], results: tuple[ResultRecord, ...], baseline: BaselineRecord | None
) -> tuple[str, str]:
    """Verdict and reason of a file: the worst of the runs that count, and of the baseline.

    A run counts if the target includes its engine, or if it gave answers. Without any engine of the
    target the file is NOT_RUN.
    """
    for item in baseline.differences if baseline else ():
        if item.verdict == WORSE:
            return REFUTED, (
                f"{item.runs[0]}: worse than the baseline, {len(item.broken)} windows broken and "
                f"{len(item.mended)} mended (p = {item.mcnemar.p_value:.2g})"
            )
    counting = [run for run in runs if run.required or run.result is not None]
    if not any(run.required for run in runs):
        return NOT_RUN, "no engine of the target is installed here"
    worst = worst_verdict([run.verdict for run in counting])
    run = min((run for run in counting if run.verdict == worst), key=lambda run: _limit(run, results))
    return worst, f"{run.name}: {run.reason}"


def _limit(run: EngineRun, results: tuple[ResultRecord, ...]) -> float:
    """What orders runs of the same verdict, the weakest first; those without answers before all."""
    if run.result is None:
        return -math.inf
    result = results[run.result]
    if result.numbers is not None:
        return -result.numbers.normalized
    return -1.0 if result.judged is None else result.judged.low


def worst_verdict(verdicts: list[str]) -> str:
    """The worst of several."""
    return next(word for word in ORDER if word in verdicts)


def _run(answers: EngineAnswers, checks: tuple[Check, ...], result: int | None) -> EngineRun:
    engine = answers.engine
    verdict = worst_verdict([check.verdict for check in checks])
    decisive = [check for check in checks if check.verdict == verdict]
    return EngineRun(
        engine=engine.distribution,
        version=engine.version,
        kernels=answers.kernels,
        required=engine.required,
        verdict=verdict,
        reason=decisive[-1].reason if len(checks) == 1 else _joined(decisive),
        result=result,
        checks=checks,
    )


def _joined(checks: list[Check]) -> str:
    return "; ".join(f"{check.name} {check.reason}" for check in checks if check.name != "answers")


def _number_checks(result: ResultRecord, count: int, budget: ErrorBudget) -> list[Check]:
    """Judged as `convert` judges them (edge_runtime.model_file.number_parity)."""
    numbers = result.numbers
    assert numbers is not None  # the budget is one for numbers
    said = (
        f"{100 * numbers.normalized:.3g} % of {numbers.worst_output}'s standard deviation over {count:,}"
        f" windows; budget {100 * budget.max_error:g} %"
    )
    checks = [Check("error", judge_error(numbers.normalized, count, budget.max_error), said)]
    if budget.min_cosine is not None:
        least = numbers.cosine_min
        verdict = PROVEN if least is not None and least >= budget.min_cosine else REFUTED
        checks.append(Check("cosine", verdict, f"at least {least}, allowed {budget.min_cosine:g}"))
    return checks


def _agreement(judged: Proportion, near_ties: int, least: float) -> Check:
    """Judged as `convert` judges it (edge_runtime.model_file.binomial), without near ties."""
    verdict = judge(judged.count, judged.total, least)
    limit = judged.high if verdict == REFUTED else judged.low
    bound = "at most" if verdict == REFUTED else "at least"
    near = f" (near ties left out: {near_ties})" if near_ties else ""
    weak = f", a weak proof on {judged.total:,} windows" if verdict == NOT_REFUTED else ""
    return Check(
        "agreement",
        verdict,
        f"{100 * judged.share:.2f} %{near}, {bound} {100 * limit:.2f} % by the exact test{weak}; "
        f"budget {100 * least:g} %",
    )
