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
@click.option(
    "--finetune",
    type=click.Path(),
    metavar="RUN",
    help="Fine-tune a trained run's weights for --precision instead of training anew.",
)
@click.option("--precision", help="With --finetune: int8 (default) or mixed.")
@click.option("--target", help="With --finetune: as of 'edge-rnn convert' (default any).")
@click.option("--quiet", is_flag=True, help="One line per report instead of a progress bar.")
@click.option("--overwrite", is_flag=True, help="Replace the run at --out, and all that lies in it.")
@click.pass_context
def train(
    context: click.Context,
    /,
    out: str,
    data: str,
    data_dir: str | None,
    preset: str,
    quiet: bool,
    overwrite: bool,
    finetune: str | None,
    precision: str | None,
    target: str | None,
    **changes: int | float | None,
) -> None:
    """Train an LSTM classifier and write a run directory."""
    if finetune is not None:
        _finetune(context, finetune, out, precision, target, quiet=quiet, overwrite=overwrite)
        return
    from edge_runtime.errors import InputError
    from train.fit import train_named

    for option, value in (("--precision", precision), ("--target", target)):
        if value is not None:
            raise InputError(f"{option} is for --finetune RUN: 'edge-rnn convert' takes it otherwise")
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


_FINETUNE_OPTIONS = ("iterations", "batch_size", "learning_rate", "seed")
"""Options of a training that a fine-tuning has, too."""

_TRAINING_ONLY = ("data", "data_dir", "preset", "units", "shift", "validation_fraction")


def _finetune(
    context: click.Context,
    run: str,
    out: str,
    precision: str | None,
    target: str | None,
    *,
    quiet: bool,
    overwrite: bool,
) -> None:
    from edge_runtime.errors import InputError
    from train.finetune import Finetuning, finetune_run

    for name in _TRAINING_ONLY:
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            raise InputError(f"--{name.replace('_', '-')} has no meaning with --finetune: leave it out")
    given = {name: context.params[name] for name in _FINETUNE_OPTIONS}
    record = finetune_run(
        run,
        out,
        precision=precision or "int8",
        target=target or "any",
        settings=Finetuning(**{name: value for name, value in given.items() if value is not None}),
        quiet=quiet,
        overwrite=overwrite,
    )
    found = (record.finetuned or {})["metrics"]
    click.echo(
        f"{out}: mean logit error on held-out training windows {found['held_out_logit_error']:.4f}, "
        f"before {found['held_out_logit_error_before']:.4f}; same class as {run} on "
        f"{100 * found['test_agreement']:.2f} % of {record.dataset['test']:,} test windows"
    )


@click.command()
@click.argument("run", type=click.Path())
@click.option("--index", default=0, show_default=True, help="Test window shown as example.")
def evaluate(run: str, index: int) -> None:
    """Test accuracy, confusion matrix and one prediction of a run."""
    from train.evaluate import evaluate_run

    click.echo(evaluate_run(run, index))
