"""The picture of a BenchReport: cold start, latency and throughput as bars."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge_runtime.bench.report import BenchReport, ModelBench
from edge_runtime.host.atomic_file import replacing
from edge_runtime.host.optional_packages import needs_extra

MODEL_COLORS = ("#4477aa", "#ee6677")
COLD_START_COLORS = {
    "python": "#cccccc",
    "imports": "#999999",
    "opening": "#666666",
    "first_prediction": "#222222",
}
"""Stage of a cold start -> the color of its bar."""


def require_matplotlib() -> tuple[type[Any], type[Any]]:
    """matplotlib's Figure and its canvas for files. Raises MissingExtraError without matplotlib."""
    with needs_extra("plot", "matplotlib", "edge-rnn bench --plot"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    return Figure, FigureCanvasAgg


def draw_bench(report: BenchReport, path: str | Path) -> None:
    """Write a PNG. Raises MissingExtraError without matplotlib."""
    new_figure, canvas = require_matplotlib()
    figure = new_figure(figsize=(12, 4.2), layout="constrained")
    canvas(figure)
    cold, latency, throughput = figure.subplots(1, 3)
    _cold_starts(cold, report.models)
    _latencies(latency, report.models)
    _throughputs(throughput, report.models)
    figure.legend(handles=latency.containers, loc="outside lower right", ncols=2, fontsize=9)
    machine = report.machine
    title = f"{report.engine} {report.version} on {machine.cpu}, cores: {machine.cores}"
    figure.suptitle(title, fontsize=11)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120, format="png")


def _cold_starts(axis: Any, models: tuple[ModelBench, ...]) -> None:
    places, left = range(len(models)), [0.0] * len(models)
    for stage, color in COLD_START_COLORS.items():
        widths = [getattr(model.cold_start, stage) for model in models]
        axis.barh(places, widths, 0.6, left=left, color=color, label=stage.replace("_", " "))
        left = [start + width for start, width in zip(left, widths)]
    for place, model in zip(places, models):
        axis.text(0, place - 0.33, Path(model.model).name, fontsize=9, verticalalignment="bottom")
    room_for_legend = len(models) + 0.3
    axis.set(xlabel="ms", title="cold start", ylim=(room_for_legend, -0.6), yticks=[])
    axis.legend(fontsize=8, loc="lower center", ncols=2)


def _latencies(axis: Any, models: tuple[ModelBench, ...]) -> None:
    quantiles = ("p50", "p90", "p99")
    _groups(axis, quantiles, models, [[getattr(m.latency, q) for q in quantiles] for m in models])
    axis.set(ylabel="us", title="latency of predict()")


def _throughputs(axis: Any, models: tuple[ModelBench, ...]) -> None:
    counts = [f"threads {item.threads}\njobs {item.jobs}" for item in models[0].throughput]
    rates = [[item.windows_per_second for item in model.throughput] for model in models]
    _groups(axis, counts, models, rates)
    axis.set(ylabel="windows/s", title="throughput in batches")


def _groups(axis: Any, names: Any, models: tuple[ModelBench, ...], values: list[list[float]]) -> None:
    """Bars of each model side by side, in a group for each name, with their numbers on them."""
    width = 0.8 / len(models)
    for k, (model, heights, color) in enumerate(zip(models, values, MODEL_COLORS)):
        places = [n + (k - (len(models) - 1) / 2) * width for n in range(len(names))]
        bars = axis.bar(places, heights, width, color=color, label=Path(model.model).name)
        axis.bar_label(bars, fmt="{:,.0f}", fontsize=8)
    axis.set_xticks(range(len(names)), names)
    axis.margins(y=0.1)
