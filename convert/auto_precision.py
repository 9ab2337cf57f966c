"""--precision auto: the cheapest precision that meets a budget on the target's engines.

The cheapest precision is the one with the smallest file. Every precision that the target has is compiled
and run in every installed engine of the target, on windows that may choose: a run's validation windows,
or one half of a user's own windows. Other windows prove the chosen file.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.compiler.float_graph.unroll import unroll
from convert.even_features import even_features
from convert.options import AUTO_PRECISION, DEFAULT_PRECISION, ConversionOptions
from convert.pipeline import Conversion, check_output, convert_source, output_files, try_source
from convert.proof.engines import make_missing
from convert.readers.open_source import kind_of, open_source
from convert.readers.read_options import ReadOptions
from convert.source_model.source_model import SourceModel
from convert.targets.precision import offered, precision_named
from edge_runtime.errors import DataError, EdgeRnnError, InputError
from edge_runtime.inference.unit_length import scale_to_unit_length
from edge_runtime.model_file.binomial import PROVEN
from edge_runtime.model_file.metadata import CLASSIFICATION, EMBEDDING
from edge_runtime.model_file.number_parity import ErrorBudget
from edge_runtime.model_file.parity_figures import Budget, EngineParity
from edge_runtime.model_file.parity_report import ParityReport
from edge_runtime.numpy_engine.interpret import run

AUTO_AGREEMENT = 0.999
"""The smallest fraction of windows with the full model's class, unless --min-agreement sets another."""

AUTO_ERROR, AUTO_COSINE = 0.05, 0.99
"""The largest error of an output and the smallest cosine, unless options set others."""


@dataclass(frozen=True)
class Candidate:
    """The result of one precision on the windows that choose."""

    precision: str
    """Its name."""
    file_bytes: int | None
    """The size of the file; None where the file could not be made."""
    report: ParityReport | None
    """The agreement in each engine; None where the file could not be made."""
    refused: str = ""
    """Why the file could not be made."""

    @property
    def verdict(self) -> str:
        """fits, below the budget, or too close (to the budget to be sure of other windows)."""
        if not self.report:
            return "below the budget"
        return "fits" if self._sure(self.report) else "too close"

    def _sure(self, report: ParityReport) -> bool:
        if isinstance(report.budget, ErrorBudget):
            return report.verdict == PROVEN
        return self._assured >= report.budget.min_agreement

    @property
    def fits(self) -> bool:
        """Whether every installed engine of the target stays well within the budget."""
        return self.verdict == "fits"

    @property
    def _assured(self) -> float:
        """The lowest agreement, less one standard error: the rule of Breiman et al. (1984).

        Near ties are left out, as in the proof.
        """
        assert self.report is not None
        counts = [item.counted(self.report.windows) for item in _of_target(self.report)]
        return min(_less_one_error(counted - agreeing, counted) for agreeing, counted in counts)

    def __str__(self) -> str:
        """One row of the table."""
        if self.file_bytes is None or self.report is None:
            return f"  {self.precision:<10}{'-':>10}  {self.refused}"
        figures = ", ".join(f"{item.engine} {_figures(item)}" for item in _of_target(self.report))
        return f"  {self.precision:<10}{self.file_bytes:>10,}  {self.verdict:<17} {figures}"


def _figures(item: EngineParity) -> str:
    if item.errors is not None:
        cosine = item.errors.min_cosine
        return f"{item.errors.error:.2%}" + ("" if cosine is None else f" (least cosine {cosine:.4f})")
    return f"{item.agreement:.2%} (mean |diff| {item.mean_logit_difference:.4f})"


def _less_one_error(missed: int, windows: int) -> float:
    return 1 - (missed + math.sqrt(missed)) / windows


def _of_target(report: ParityReport) -> list[EngineParity]:
    """The engines of the target that ran the file."""
    return [item for item in report.engines if item.required and item.ran]


@dataclass(frozen=True)
class Choice:
    """The candidates, the smallest file first, and the one taken. It is truthy when one was taken."""

    candidates: tuple[Candidate, ...]
    windows: int
    """The number of windows that chose."""
    split: str
    """Where these windows come from."""
    budget: Budget
    """What a candidate must keep."""

    def __bool__(self) -> bool:
        return self.precision is not None

    @property
    def precision(self) -> str | None:
        """The precision with the smallest file that fits; None where none fits."""
        return next((item.precision for item in self.candidates if item.fits), None)

    @property
    def _rule(self) -> str:
        if isinstance(self.budget, ErrorBudget):
            return f"that is proven to keep {self.budget}"
        return f"whose agreement less one standard error is >= {self.budget.min_agreement:.2%}"

    def __str__(self) -> str:
        """The table."""
        heading = (
            f"choosing on {self.windows:,} windows ({self.split}): the smallest file {self._rule} in "
            "every installed engine of the target"
        )
        taken = f"  taken: {self.precision}" if self.precision else "  none meets the budget"
        return "\n".join(
            [heading, f"  {'precision':<10}{'bytes':>10}", *map(str, self.candidates), taken]
        )


def choose_precision(source: SourceModel, options: ConversionOptions) -> Choice:
    """Try every precision that the target has on the source's held-out windows.

    `source`: one whose held-out windows may choose, as `judge_and_proof` gives it.
    """
    options = _with_budget(options, source.task)
    found = [_candidate(source, name, options) for name in offered(options.target)]
    found.sort(key=lambda item: float("inf") if item.file_bytes is None else item.file_bytes)
    budget = options.budget(precision_named(DEFAULT_PRECISION), source.task)
    return Choice(tuple(found), len(source.held_out), source.split, budget)


def _with_budget(options: ConversionOptions, task: str) -> ConversionOptions:
    """The options with auto's own budget, where they set none."""
    if task == CLASSIFICATION:
        least = AUTO_AGREEMENT if options.min_agreement is None else options.min_agreement
        return replace(options, min_agreement=least)
    most = AUTO_ERROR if options.max_error is None else options.max_error
    least_cosine = AUTO_COSINE if options.min_cosine is None else options.min_cosine
    return replace(options, max_error=most, min_cosine=least_cosine if task == EMBEDDING else None)


def judge_and_proof(source: SourceModel) -> tuple[SourceModel, SourceModel]:
    """Two sources: one whose held-out windows choose, and one whose held-out windows prove.

    Raises DataError where there is only one held-out window, which cannot do both.
    """
    chosen = source.selection
    if chosen is not None:
        logits = run(unroll(source.network), source.normalization.apply(chosen.windows.x))
        if source.unit_length:
            scale_to_unit_length(logits)
        judge = replace(source, held_out=chosen.windows, logits=logits, split=chosen.split)
        return replace(judge, finetuned=None), source
    count = len(source.held_out)
    if count < 2:
        raise DataError("--precision: auto needs two windows besides those of calibration. Add windows.")
    return _part(source, np.arange(1, count, 2)), _part(source, np.arange(0, count, 2))


def _part(source: SourceModel, positions: NDArray[np.int64]) -> SourceModel:
    return replace(
        source,
        held_out=source.held_out.take(positions),
        logits=source.logits[positions],
        split=f"one half of those {source.split}",
    )


def _candidate(source: SourceModel, precision: str, options: ConversionOptions) -> Candidate:
    try:
        data, report = try_source(source, precision=precision, options=options)
    except EdgeRnnError as error:
        return Candidate(precision, None, None, str(error))
    return Candidate(precision, len(data), report)


def choose_and_convert(
    model: Any,
    out: str | Path | None,
    read: ReadOptions,
    options: ConversionOptions,
    *,
    prove: bool = False,
    progress: Callable[[str], None] | None = None,
) -> tuple[Choice, Conversion | None]:
    """Choose a precision, convert to it and prove it; see `convert.api.convert_auto`.

    The options are checked before any file is opened.
    """
    options.precision(AUTO_PRECISION)
    kind_of(model, read)
    if out is not None:
        check_output(out, model, read, options)
    elif not isinstance(model, (str, Path)):
        raise InputError("out: is missing. Name the file to write, as the model has no file name.")
    source = even_features(open_source(model, read))
    options.check_task(source.task)
    options = _with_budget(options, source.task)
    if prove:
        make_missing(options.target, progress)
    judge, source = judge_and_proof(source)
    choice = choose_precision(judge, options)
    if choice.precision is None:
        if out is not None:
            # An older file could be mistaken for the result.
            Path(out).unlink(missing_ok=True)
        return choice, None
    path = Path(out) if out is not None else _default_path(model, choice.precision, options)
    return choice, convert_source(
        source, path, precision=choice.precision, options=options, progress=progress
    )


def _default_path(model: Any, precision: str, options: ConversionOptions) -> Path:
    return output_files(model, precision, graph=options.graph)[precision]
