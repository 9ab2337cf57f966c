"""--precision auto: the cheapest precision that meets a budget on the target's engines.

The cheapest is the one with the smallest file. Every precision that the target has is compiled and run
in every engine that is here for the target, on windows that may choose: a run's validation windows, or
one half of a user's own windows. Others prove the chosen file afterwards.
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
from convert.options import Settings
from convert.pipeline import Conversion, convert_source, output_files, try_source
from convert.proof.engines import make_missing
from convert.readers.open_source import open_source
from convert.source_model.source_model import Source
from convert.targets.precision import offered
from edge_runtime.errors import DataError, EdgeRnnError
from edge_runtime.model_file.parity_report import EngineParity, ParityReport
from edge_runtime.numpy_engine.interpret import run

AUTO_AGREEMENT = 0.999
"""Least fraction of windows with the full model's class, unless --min-agreement says otherwise."""


@dataclass(frozen=True)
class Candidate:
    """What one precision gives on the windows that choose."""

    precision: str
    file_bytes: int | None
    """None where the file could not be made."""
    report: ParityReport | None
    refused: str = ""
    """Why it could not."""

    @property
    def verdict(self) -> str:
        """fits, too close to the budget to be sure of other windows, or below the budget."""
        if not self.report:
            return "below the budget"
        least = self.report.budget.min_agreement
        return "too close" if self._assured < least else "fits"

    @property
    def fits(self) -> bool:
        """Whether every engine of the target that is here stays within the budget, and not barely."""
        return self.verdict == "fits"

    @property
    def _assured(self) -> float:
        """The lowest agreement, less one standard error: the rule of Breiman et al. (1984)."""
        assert self.report is not None
        windows = self.report.windows
        agreement = min(item.agreement or 0.0 for item in _of_target(self.report))
        missed = windows * (1 - agreement)
        return 1 - (missed + math.sqrt(missed)) / windows

    def __str__(self) -> str:
        """One row of the table."""
        if self.file_bytes is None or self.report is None:
            return f"  {self.precision:<10}{'-':>10}  {self.refused}"
        figures = ", ".join(
            f"{item.engine} {item.agreement:.2%} (mean |diff| {item.mean_logit_difference:.4f})"
            for item in _of_target(self.report)
        )
        return f"  {self.precision:<10}{self.file_bytes:>10,}  {self.verdict:<17} {figures}"


def _of_target(report: ParityReport) -> list[EngineParity]:
    """The engines that the file is for and that ran it."""
    return [item for item in report.engines if item.required and item.agreement is not None]


@dataclass(frozen=True)
class Choice:
    """The table of candidates, the smallest file first, and the one taken."""

    candidates: tuple[Candidate, ...]
    windows: int
    split: str
    """Where the windows come from that chose."""
    min_agreement: float

    @property
    def precision(self) -> str | None:
        """The cheapest that fits."""
        return next((item.precision for item in self.candidates if item.fits), None)

    def __str__(self) -> str:
        """The table."""
        heading = (
            f"choosing on {self.windows:,} windows ({self.split}): the smallest file whose agreement "
            f"less one standard error is >= {self.min_agreement:.2%} in every engine of the target here"
        )
        taken = f"  taken: {self.precision}" if self.precision else "  none meets the budget"
        return "\n".join(
            [heading, f"  {'precision':<10}{'bytes':>10}", *map(str, self.candidates), taken]
        )


def choose_precision(source: Source, settings: Settings) -> Choice:
    """Try every precision that the target has on the source's held-out windows.

    `source`: one whose windows may choose, as `judge_and_proof` gives it.
    """
    found = [_candidate(source, name, settings) for name in offered(settings.target)]
    found.sort(key=lambda item: float("inf") if item.file_bytes is None else item.file_bytes)
    least = AUTO_AGREEMENT if settings.min_agreement is None else settings.min_agreement
    return Choice(tuple(found), len(source.held_out), source.split, least)


def judge_and_proof(source: Source) -> tuple[Source, Source]:
    """The source with the windows that choose in the place of the held-out ones, and that of the proof.

    Raises DataError where there is one held-out window alone, which cannot do both.
    """
    chosen = source.selection
    if chosen is not None:
        logits = run(unroll(source.network), source.normalization.apply(chosen.windows.x))
        judge = replace(source, held_out=chosen.windows, logits=logits, split=chosen.split)
        return replace(judge, finetuned=None), source
    count = len(source.held_out)
    if count < 2:
        raise DataError("--precision auto needs two windows besides calibration's, found one")
    return _part(source, np.arange(1, count, 2)), _part(source, np.arange(0, count, 2))


def _part(source: Source, positions: NDArray[np.int64]) -> Source:
    return replace(
        source,
        held_out=source.held_out.take(positions),
        logits=source.logits[positions],
        split=f"one half of those {source.split}",
    )


def _candidate(source: Source, precision: str, settings: Settings) -> Candidate:
    try:
        data, report = try_source(source, precision=precision, settings=settings)
    except EdgeRnnError as error:
        return Candidate(precision, None, None, str(error))
    return Candidate(precision, len(data), report)


def convert_auto(
    model: Any,
    out: str | Path | None = None,
    *,
    prove: bool = False,
    tell: Callable[[str], None] = print,
    **options: Any,
) -> tuple[Choice, Conversion | None]:
    """Choose a precision, convert to it and prove it; `out` defaults to NAME-PRECISION.tflite.

    No conversion, and no file under `out`, when no precision meets the budget. `prove`, `tell` and
    `options` as in pipeline.convert_each; raises what that raises.
    """
    settings = Settings.of(options)
    if settings.min_agreement is None:
        settings = replace(settings, min_agreement=AUTO_AGREEMENT)
    source = open_source(model, **options)
    if prove:
        make_missing(settings.target, tell)
    judge, source = judge_and_proof(source)
    choice = choose_precision(judge, settings)
    if choice.precision is None:
        if out is not None:
            # An older file must not be mistaken for the result.
            Path(out).unlink(missing_ok=True)
        return choice, None
    path = Path(out) if out is not None else _default_path(model, choice.precision, settings)
    return choice, convert_source(source, path, precision=choice.precision, settings=settings)


def _default_path(model: Any, precision: str, settings: Settings) -> Path:
    return output_files(model, precision, None, settings.graph, settings.target.name)[precision]
