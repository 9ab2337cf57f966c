"""--precision auto: the cheapest precision that meets a budget on the target's engines.

The cheapest is the one with the smallest file. Every precision that the target has is compiled and run
in every engine that is here for the target, on training windows that calibration did not look at, where
there are any: the held-out windows choose nothing, they prove the chosen file afterwards, as always.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from convert.interpret import run
from convert.open_source import open_source
from convert.pipeline import Conversion, convert_source, output_files, try_source
from convert.precision import offered
from convert.proof_engines import make_missing
from convert.settings import Settings
from convert.source import Source
from convert.unroll import unroll
from edge_runtime.errors import EdgeRnnError
from edge_runtime.parity_report import ParityReport

AUTO_AGREEMENT = 0.999
"""Least fraction of windows with the full model's class, unless --min-agreement says otherwise."""

ENOUGH_WINDOWS = 1000


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
    def fits(self) -> bool:
        """Whether every engine of the target that is here stays within the budget."""
        return bool(self.report)

    def __str__(self) -> str:
        """One row of the table."""
        if self.file_bytes is None or self.report is None:
            return f"  {self.precision:<10}{'-':>10}  {self.refused}"
        figures = ", ".join(
            f"{item.engine} {item.agreement:.2%} (mean |diff| {item.mean_logit_difference:.4f})"
            for item in self.report.engines
            if item.required and item.agreement is not None
        )
        verdict = "fits" if self.fits else "below the budget"
        return f"  {self.precision:<10}{self.file_bytes:>10,}  {verdict:<17} {figures}"


@dataclass(frozen=True)
class Choice:
    """The table of candidates, the smallest file first, and the one taken."""

    candidates: tuple[Candidate, ...]
    windows: int
    min_agreement: float

    @property
    def precision(self) -> str | None:
        """The cheapest that fits."""
        return next((item.precision for item in self.candidates if item.fits), None)

    def __str__(self) -> str:
        """The table."""
        heading = (
            f"choosing on {self.windows:,} training windows: the smallest file with agreement >= "
            f"{self.min_agreement:.2%} in every engine of the target that is here"
        )
        taken = f"  taken: {self.precision}" if self.precision else "  none meets the budget"
        return "\n".join(
            [heading, f"  {'precision':<10}{'bytes':>10}", *map(str, self.candidates), taken]
        )


def choose_precision(source: Source, settings: Settings) -> Choice:
    """Try every precision that the target has on the windows that may choose."""
    windows = source.selection or source.held_out.take(np.arange(0))
    exact = run(unroll(source.network), source.normalization.apply(windows.x))
    judge = replace(source, held_out=windows, logits=exact, split="training split", finetuned=None)
    found = [_candidate(judge, name, settings) for name in offered(settings.target)]
    found.sort(key=lambda item: float("inf") if item.file_bytes is None else item.file_bytes)
    return Choice(tuple(found), len(windows), settings.min_agreement or AUTO_AGREEMENT)


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

    No conversion, and no file, when no precision meets the budget. `prove`, `tell` and `options` as in
    pipeline.convert_each; raises what that raises.
    """
    settings = Settings.of(options)
    if settings.min_agreement is None:
        settings = replace(settings, min_agreement=AUTO_AGREEMENT)
    source = open_source(model, **options)
    if prove:
        make_missing(settings.target, tell)
    choice = choose_precision(source, settings)
    if choice.precision is None:
        return choice, None
    path = Path(out) if out is not None else _default_path(model, choice.precision, settings)
    return choice, convert_source(source, path, precision=choice.precision, settings=settings)


def _default_path(model: Any, precision: str, settings: Settings) -> Path:
    return output_files(model, precision, None, settings.graph, settings.target.name)[precision]
