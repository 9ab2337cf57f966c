"""The command `edge-rnn bench`."""

from __future__ import annotations

from typing import Any

import click

from edge_runtime.commands.shared_options import engine_options


@click.command()
@click.argument("model", type=click.Path())
@click.option("--compare", type=click.Path(), help="Another model, measured in turns with the first.")
@click.option(
    "--seconds",
    default=2.0,
    show_default=True,
    help="Approximate duration of each measurement, in seconds.",
)
@click.option(
    "--input", "source", type=click.Path(), help="File of windows to predict, instead of random ones."
)
@click.option("--plot", type=click.Path(dir_okay=False), help="PNG file to draw the figures in.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@engine_options
def bench(model: str, plot: str | None, as_json: bool, **options: Any) -> None:
    """Measure a model on this machine: cold start, latency, throughput, memory.

    Every measurement runs in a process of its own. Cold start is the time from the start of Python to
    the first prediction. Latency is the time of predict() with one window, after the warm-up. Throughput
    is measured with batches, for several numbers of threads and of interpreters (jobs). The numpy engine
    is profiled by operator.
    """
    from edge_runtime.bench.measure import bench_model

    if plot is not None:
        from edge_runtime.bench.picture import draw_bench, require_matplotlib

        require_matplotlib()  # before, not after the time it takes to measure
    report = bench_model(model, **options)
    click.echo(report.to_json() if as_json else report)
    if plot is not None:
        draw_bench(report, plot)
