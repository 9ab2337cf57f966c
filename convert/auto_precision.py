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
from convert.options import AUTO_PRECISION, ConversionOptions
from convert.pipeline import Conversion, check_output, convert_source, output_files, try_source
from convert.proof.engines import make_missing
from convert.readers.open_source import kind_of, open_source
from convert.readers.read_options import ReadOptions
from convert.source_model.source_model import SourceModel
from convert.targets.precision import offered
from edge_runtime.errors import DataError, EdgeRnnError, InputError
from edge_runtime.model_file.parity_figures import EngineParity
from edge_runtime.model_file.parity_report import ParityReport
from edge_runtime.numpy_engine.interpret import run

AUTO_AGREEMENT = 0.999
"""The smallest fraction of windows with the full model's class, unless --min-agreement sets another."""


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
        least = self.report.budget.min_agreement
        return "too close" if self._assured < least else "fits"

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
        figures = ", ".join(
            f"{item.engine} {item.agreement:.2%} (mean |diff| {item.mean_logit_difference:.4f})"
            for item in _of_target(self.report)
        )
        return f"  {self.precision:<10}{self.file_bytes:>10,}  {self.verdict:<17} {figures}"


def _less_one_error(missed: int, windows: int) -> float:
    return 1 - (missed + math.sqrt(missed)) / windows


def _of_target(report: ParityReport) -> list[EngineParity]:
    """The engines of the target that ran the file."""
    return [item for item in report.engines if item.required and item.agreement is not None]


@dataclass(frozen=True)
class Choice:
    """The candidates, the smallest file first, and the one taken. It is truthy when one was taken."""

    candidates: tuple[Candidate, ...]
    windows: int
    """The number of windows that chose."""
    split: str
    """Where these windows come from."""
    min_agreement: float
    """The smallest agreement, 0 to 1, that a candidate must keep."""

    def __bool__(self) -> bool:
        return self.precision is not None

    @property
    def precision(self) -> str | None:
        """The precision with the smallest file that fits; None where none fits."""
        return next((item.precision for item in self.candidates if item.fits), None)

    def __str__(self) -> str:
        """The table."""
        heading = (
            f"choosing on {self.windows:,} windows ({self.split}): the smallest file whose agreement "
            f"less one standard error is >= {self.min_agreement:.2%} in every installed engine of the "
            "target"
        )
        taken = f"  taken: {self.precision}" if self.precision else "  none meets the budget"
        return "\n".join(
            [heading, f"  {'precision':<10}{'bytes':>10}", *map(str, self.candidates), taken]
        )


def choose_precision(source: SourceModel, options: ConversionOptions) -> Choice:
    """Try every precision that the target has on the source's held-out windows.

    `source`: one whose held-out windows may choose, as `judge_and_proof` gives it.
    """
    found = [_candidate(source, name, options) for name in offered(options.target)]
    found.sort(key=lambda item: float("inf") if item.file_bytes is None else item.file_bytes)
    least = AUTO_AGREEMENT if options.min_agreement is None else options.min_agreement
    return Choice(tuple(found), len(source.held_out), source.split, least)


def judge_and_proof(source: SourceModel) -> tuple[SourceModel, SourceModel]:
    """Two sources: one whose held-out windows choose, and one whose held-out windows prove.

    Raises DataError where there is only one held-out window, which cannot do both.
    """
    chosen = source.selection
    if chosen is not None:
        logits = run(unroll(source.network), source.normalization.apply(chosen.windows.x))
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
    if options.min_agreement is None:
        options = replace(options, min_agreement=AUTO_AGREEMENT)
    source = even_features(open_source(model, read))
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
