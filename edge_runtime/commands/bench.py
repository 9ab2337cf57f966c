"""The command `edge-rnn bench`."""

from __future__ import annotations

from typing import Any

import click

from edge_runtime.commands.shared_options import engine_options


@click.command()
@click.argument("model", type=click.Path())
@click.option("--compare", type=click.Path(), help="Another model to measure, in turns with the first.")
@click.option(
    "--seconds",
    default=2.0,
    show_default=True,
    help="The approximate duration of each measurement, in seconds.",
)
@click.option(
    "--input",
    "source",
    type=click.Path(),
    help="A file of windows to predict, instead of random windows.",
)
@click.option(
    "--plot", type=click.Path(dir_okay=False), help="Draw the figures as a plot in this PNG file."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@engine_options
def bench(model: str, plot: str | None, as_json: bool, **options: Any) -> None:
    """Measure a model on this machine: cold start, latency, throughput, memory.

    Every measurement runs in its own process. Cold start is the time from the start of Python to the
    first prediction. After the warm-up, latency is the time of one prediction. Throughput is measured
    with batches, for several numbers of threads and of interpreters (jobs). For the numpy engine, a
    profile shows the time of each operator.
    """
    from edge_runtime.bench.measure import bench_model

    if plot is not None:
        from edge_runtime.bench.picture import draw_bench, require_matplotlib

        require_matplotlib()  # before, not after the time it takes to measure
    report = bench_model(model, **options)
    click.echo(report.to_json() if as_json else report)
    if plot is not None:
        draw_bench(report, plot)
