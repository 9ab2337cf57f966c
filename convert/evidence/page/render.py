"""Writes the page: one HTML file that needs no network and runs no script but its own."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convert.evidence.page import plots
from convert.evidence.page.answers import drawn_windows
from convert.evidence.page.figure_text import FILTERS, is_significant
from convert.evidence.page.model_view import ModelView, run_name
from convert.evidence.record import Evidence
from edge_runtime.host.atomic_file import replacing
from edge_runtime.host.optional_packages import needs_extra

if TYPE_CHECKING:
    from jinja2 import Environment

MOST_IN_A_PLOT = 24
"""Groups. More are in the table alone."""

_NOT_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
"""Characters that HTML forbids: controls, and the halves of characters that JSON can hold."""


def write_page(evidence: Evidence, path: str | Path) -> None:
    """Write the record as a page. The file appears whole or not at all.

    Raises MissingExtraError without Jinja2 or matplotlib.
    """
    text = page_text(evidence)
    with replacing(path) as temporary:
        temporary.write_text(_NOT_TEXT.sub("\N{REPLACEMENT CHARACTER}", text), "utf-8")


def page_text(evidence: Evidence) -> str:
    """The page as HTML."""
    environment = _environment()
    script = environment.get_template("sort.js").render()
    windows = {item.window: item for item in evidence.windows}
    views = [
        ModelView(record, evidence.reference, index) for index, record in enumerate(evidence.models)
    ]
    return environment.get_template("page.html.j2").render(
        evidence=evidence,
        reference=evidence.reference,
        identity=evidence.identity,
        models=views,
        plots={view.key: _plots(view) for view in views},
        drawn={view.key: drawn_windows(view, windows) for view in views},
        script=script,
        script_hash=_hash(script),
    )


@cache
def _environment() -> Environment:
    with needs_extra("workstation", "jinja2", "edge-rnn parity --report"):
        from jinja2 import Environment, FunctionLoader, StrictUndefined
    environment = Environment(
        loader=FunctionLoader(_template_text),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    environment.tests["significant"] = is_significant
    environment.globals["run_name"] = run_name
    return environment


def _template_text(name: str) -> str:
    return (files("convert.evidence.page") / "templates" / name).read_text("utf-8")


def _hash(script: str) -> str:
    """The script's digest, by which the page's policy knows it."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _plots(view: ModelView) -> dict[str, Any]:
    """Name -> SVG, of those that the record has figures for; drift has several."""
    result, drawn = view.result, dict[str, Any]()
    if result is None:
        return drawn
    if result.accuracy:
        title = "Accuracy of the reference and of each engine"
        drawn["accuracy"] = plots.intervals_plot(f"{view.key}-accuracy", title, view.accuracies)
    if 0 < len(result.groups) <= MOST_IN_A_PLOT:
        rows = [(item.group, item.agreement, "model") for item in result.groups]
        title = "Agreement with the reference in each group"
        drawn["groups"] = plots.intervals_plot(f"{view.key}-groups", title, rows)
    if result.margins:
        drawn["margins"] = plots.margins_plot(f"{view.key}-margins", result.margins)
    if result.calibration:
        drawn["calibration"] = plots.calibration_plot(f"{view.key}-calibration", result.calibration)
    if view.record.drift:
        drawn["drift"] = plots.drift_plots(f"{view.key}-drift", view.record.drift)
    return drawn
