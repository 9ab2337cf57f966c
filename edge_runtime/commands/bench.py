"""The command `edge-rnn bench`."""

from __future__ import annotations

from typing import Any

import click

from edge_runtime.commands.shared_options import engine_options


@click.command()
@click.argument("model", type=click.Path())
@click.option("--compare", type=click.Path(), help="Another model, measured in turns with this one.")
@click.option(
    "--seconds", default=2.0, show_default=True, help="How long each figure is measured, about."
)
@click.option("--input", "source", type=click.Path(), help="Windows to predict, instead of random ones.")
@click.option("--plot", type=click.Path(dir_okay=False), help="A PNG to draw the figures in.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@engine_options
def bench(model: str, plot: str | None, as_json: bool, **options: Any) -> None:
    """Measure a model on this machine: cold start, latency, throughput, memory.

    Everything runs in processes of its own. Cold start: from the start of Python to the first
    prediction. Latency: of predict() with one window, after the warm-up. Throughput: of batches, by
    threads of the engine and by interpreters (jobs). The numpy engine is profiled by operator.
    """
    from edge_runtime.bench.measure import bench_model

    if plot is not None:
        from edge_runtime.bench.picture import draw_bench, require_matplotlib

        require_matplotlib()  # before, not after the time it takes to measure
    report = bench_model(model, **options)
    click.echo(report.to_json() if as_json else report)
    if plot is not None:
        draw_bench(report, plot)
