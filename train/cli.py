"""The commands `edge-rnn train` and `edge-rnn evaluate`. Importable with click alone."""

from __future__ import annotations

import click


@click.command()
@click.option("--out", required=True, type=click.Path(), help="Run directory to write.")
@click.option(
    "--data",
    default="mnist",
    show_default=True,
    help="mnist, digits, a folder of IDX files, an IDX file of images, or an .npz file.",
)
@click.option("--data-dir", type=click.Path(), help="Where mnist's files are (or $EDGE_RNN_DATA).")
@click.option(
    "--preset",
    default="default",
    show_default=True,
    help="default, seed (the notebook's budget: 1000 steps of 100) or demo (small data sets).",
)
@click.option("--units", type=int, help="Width of the LSTM.")
@click.option("--iterations", type=int, help="Optimizer steps.")
@click.option("--batch-size", type=int, help="Windows per optimizer step.")
@click.option("--learning-rate", type=float, help="First rate of the cosine decay.")
@click.option("--shift", type=int, help="Move batches by up to this many steps and features.")
@click.option("--validation-fraction", type=float, help="Part of the training split held back.")
@click.option("--seed", type=int, help="Same seed, same machine: same weights.")
@click.option("--quiet", is_flag=True, help="One line per report instead of a progress bar.")
@click.option("--overwrite", is_flag=True, help="Replace the run at --out, and all that lies in it.")
def train(
    out: str,
    data: str,
    data_dir: str | None,
    preset: str,
    quiet: bool,
    overwrite: bool,
    **changes: int | float | None,
) -> None:
    """Train an LSTM classifier and write a run directory."""
    from train.fit import train_named

    record = train_named(
        data,
        out,
        preset=preset,
        data_dir=data_dir,
        quiet=quiet,
        overwrite=overwrite,
        **changes,
    )
    click.echo(
        f"{out}: validation accuracy {100 * record.metrics['validation_accuracy']:.2f} %, "
        f"test accuracy {100 * record.metrics['test_accuracy']:.2f} % "
        f"({record.dataset['test']:,} windows)"
    )


@click.command()
@click.argument("run", type=click.Path())
@click.option("--index", default=0, show_default=True, help="Test window shown as example.")
def evaluate(run: str, index: int) -> None:
    """Test accuracy, confusion matrix and one prediction of a run."""
    from train.evaluate import evaluate_run

    click.echo(evaluate_run(run, index))
