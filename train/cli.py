"""The commands `edge-rnn train` and `edge-rnn evaluate`. Importable with click alone."""

from __future__ import annotations

import json
from functools import partial

import click

from edge_runtime.commands.option_groups import GroupedCommand, NamedChoice, option, refuse_others
from edge_runtime.errors import InputError
from train.hyperparameters import PRESETS
from train.hyperparameters import preset as preset_named

files = partial(option, "Data and output")
training = partial(option, "Training")
finetuning = partial(option, "Fine-tuning")

FINETUNE_SETTINGS = ("iterations", "batch_size", "learning_rate", "seed")
"""Options of a training that a fine-tuning has too."""

WITH_FINETUNE = (
    "out",
    "overwrite",
    "quiet",
    "finetune",
    "precision",
    "target",
    *FINETUNE_SETTINGS,
)
"""The options that --finetune goes with."""


@click.command(cls=GroupedCommand)
@files("--out", required=True, type=click.Path(), help="The run directory to write.")
@files(
    "--data",
    default="mnist",
    show_default=True,
    help="The data set: mnist, digits, a folder of IDX files, an IDX file of images, or an .npz file "
    "with x, y and, if you like, labels, test_x and test_y.",
)
@files(
    "--data-dir",
    type=click.Path(),
    help="The folder with the four files of mnist. Default: $EDGE_RNN_DATA. If neither is given, they "
    "are downloaded.",
)
@files("--overwrite", is_flag=True, help="Replace the run directory at --out and everything in it.")
@files(
    "--quiet",
    is_flag=True,
    help="On a terminal, print one line for each report instead of a progress bar.",
)
@training(
    "--preset",
    type=NamedChoice(list(PRESETS)),
    default="default",
    show_default=True,
    help="The hyperparameters, unless the options below change them. seed: 1,000 iterations of 100 "
    "windows. demo: for small data sets.",
)
@training("--units", type=int, help="The number of units of the LSTM.")
@training("--iterations", type=int, help="The number of optimizer steps.")
@training("--batch-size", type=int, help="The number of windows for each optimizer step.")
@training("--learning-rate", type=float, help="The initial learning rate. It decays along a cosine.")
@training("--shift", type=int, help="Shift each batch at random by up to this many steps and features.")
@training(
    "--validation-fraction",
    type=float,
    help="The fraction of the training split, 0 to 1, that is held back for validation.",
)
@training(
    "--seed", type=int, help="The random seed. On one machine, the same seed gives the same weights."
)
@finetuning(
    "--finetune",
    type=click.Path(),
    metavar="RUN",
    help="Fine-tune the weights of the run directory RUN for a precision, instead of training a new "
    "model.",
)
@finetuning(
    "--precision",
    type=NamedChoice(["int8", "mixed"]),
    help="The precision to fine-tune for, with --finetune. Default: int8.",
)
@finetuning(
    "--target",
    metavar="TARGET",
    help="The engine to fine-tune for, with --finetune. It is a --target of 'edge-rnn convert'. "
    "Default: any.",
)
@click.pass_context
def train(
    context: click.Context,
    /,
    out: str,
    data: str,
    data_dir: str | None,
    overwrite: bool,
    quiet: bool,
    preset: str,
    units: int | None,
    iterations: int | None,
    batch_size: int | None,
    learning_rate: float | None,
    shift: int | None,
    validation_fraction: float | None,
    seed: int | None,
    finetune: str | None,
    precision: str | None,
    target: str | None,
) -> None:
    """Train an LSTM classifier and write a run directory.

    The run directory holds the model and the windows that 'edge-rnn convert' needs.
    """
    if finetune is not None:
        refuse_others(context, "--finetune", WITH_FINETUNE)
        _finetune(context, finetune, out)
        return
    for name, value in (("--precision", precision), ("--target", target)):
        if value is not None:
            raise InputError(
                f"{name}: goes with --finetune only. Pass it to 'edge-rnn convert' instead."
            )
    if data_dir is not None and data != "mnist":
        raise InputError("--data-dir: names the folder of mnist's files. Leave it out for other data.")
    chosen = preset_named(
        preset,
        units=units,
        iterations=iterations,
        batch_size=batch_size,
        learning_rate=learning_rate,
        shift=shift,
        validation_fraction=validation_fraction,
        seed=seed,
    )
    from train.fit import train_named

    record = train_named(data, out, chosen, data_dir=data_dir, quiet=quiet, overwrite=overwrite)
    click.echo(
        f"{out}: validation accuracy {100 * record.metrics['validation_accuracy']:.2f} %, "
        f"test accuracy {100 * record.metrics['test_accuracy']:.2f} % "
        f"({record.dataset['test']:,} windows)"
    )


def _finetune(context: click.Context, run: str, out: str) -> None:
    from train.finetune import Finetuning, finetune_run

    given = {name: value for name, value in context.params.items() if value is not None}
    settings = {name: given[name] for name in FINETUNE_SETTINGS if name in given}
    record = finetune_run(
        run,
        out,
        precision=given.get("precision", "int8"),
        target=given.get("target", "any"),
        settings=Finetuning(**settings),
        quiet=context.params["quiet"],
        overwrite=context.params["overwrite"],
    )
    found = (record.finetuned or {})["metrics"]
    click.echo(
        f"{out}: mean logit error on held-out training windows {found['held_out_logit_error']:.4f}, "
        f"before {found['held_out_logit_error_before']:.4f}; same class as {run} on "
        f"{100 * found['test_agreement']:.2f} % of {record.dataset['test']:,} test windows"
    )


@click.command()
@click.argument("run", type=click.Path())
@click.option(
    "--index",
    default=0,
    show_default=True,
    help="The window to show as an example. The first window of the split is 0.",
)
@click.option(
    "--split",
    type=NamedChoice(["test", "validation"]),
    default="test",
    show_default=True,
    help="The windows to measure with. validation: those that training held back, at most 5,000.",
)
@click.option(
    "--json",
    "json_path",
    type=click.Path(),
    metavar="FILE",
    help="Also write the figures to FILE, as JSON. '-': print them as JSON in place of the tables.",
)
def evaluate(run: str, index: int, split: str, json_path: str | None) -> None:
    """Measure a run on windows that it was not trained with.

    RUN is a run directory of 'edge-rnn train'. The command prints accuracy, precision and recall of the
    classes, accuracy by group, the confusion matrix and the calibration. It writes them into RUN as
    evaluation.json, with pictures. It also shows the prediction for one window, as a picture and as
    example.npy, the raw window.
    """
    from train.evaluate import evaluate_run, write_json

    evaluation = evaluate_run(run, index, split)
    if json_path is not None and json_path != "-":
        write_json(evaluation.to_json(), json_path)
    click.echo(json.dumps(evaluation.to_json()) if json_path == "-" else evaluation)
