"""The commands `edge-rnn train` and `edge-rnn evaluate`. Importable with click alone."""

from __future__ import annotations

import json
import os
from functools import partial
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from edge_runtime.commands.option_groups import GroupedCommand, NamedChoice, option, refuse_others
from edge_runtime.errors import InputError
from train.hyperparameters import (
    CELLS,
    CLASS_WEIGHTS,
    MIXED_PRECISIONS,
    PRESETS,
    SCHEDULES,
    layered_units,
)
from train.hyperparameters import preset as preset_named
from train.option_decorators import DATA_OPTIONS, ListOf, data_options, data_options_from
from train.settings import TrainingSettings, read_config

if TYPE_CHECKING:
    from edge_runtime.runs.run_directory import RunRecord
    from train.workers.cluster import Cluster

files = partial(option, "Data and output")
network = partial(option, "Network")
training = partial(option, "Training")
long = partial(option, "Long trainings")
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

HYPERPARAMETERS = (
    *("cell", "units", "bidirectional", "dropout", "iterations", "epochs", "batch_size"),
    *("learning_rate", "schedule", "early_stopping", "class_weights", "augment", "shift"),
    *("mixed_precision", "validation_fraction", "seed"),
)
"""The options that are fields of Hyperparameters."""

SETTINGS = ("data", "data_dir", "preset", "layers", *DATA_OPTIONS, *HYPERPARAMETERS)
"""The options that a file of --config may hold."""


def _use_config(context: click.Context, parameter: click.Parameter, path: str | None) -> None:
    """Makes the settings of the file the defaults of the other options."""
    if path is not None:
        known = {name.replace("_", "-"): name for name in SETTINGS}
        config = read_config(path, known)
        context.default_map = {known[key]: value for key, value in config.items()}


@click.command(cls=GroupedCommand)
@files("--out", required=True, type=click.Path(), help="The run directory to write.")
@files(
    "--data",
    default="mnist",
    show_default=True,
    help="The data set: mnist, digits, a folder of IDX files, an IDX file of images, an .npz file with "
    "x, y and, if you like, labels, groups, test_x and test_y, or recordings (a folder, CSV, Parquet, "
    ".ts, Edge Impulse's JSON). 'edge-rnn data' shows what is understood.",
)
@files(
    "--data-dir",
    type=click.Path(),
    help="The folder with the four files of mnist. Default: $EDGE_RNN_DATA. If neither is given, they "
    "are downloaded.",
)
@files(
    "--config",
    type=click.Path(),
    is_eager=True,
    expose_value=False,
    callback=_use_config,
    help="A TOML or YAML file with settings: the names of options and their values. Options on the "
    "command line win. Each run holds such a file, config.toml.",
)
@files("--overwrite", is_flag=True, help="Replace the run directory at --out and everything in it.")
@files(
    "--quiet",
    is_flag=True,
    help="On a terminal, print one line for each report instead of a progress bar.",
)
@data_options
@network(
    "--preset",
    type=NamedChoice(list(PRESETS)),
    default="default",
    show_default=True,
    help="The hyperparameters, unless the options below change them. default, mnist: for MNIST. seed: "
    "1,000 iterations of 100 windows. demo, digits: for small data sets. sensor: for recordings of few "
    "people.",
)
@network("--cell", type=NamedChoice(list(CELLS)), help="The recurrent cell: LSTM, GRU or SimpleRNN.")
@network(
    "--units",
    type=ListOf(int),
    metavar="N[,N...]",
    help="The number of units of the recurrent layer, or of each of several, as in 64,32.",
)
@network("--layers", type=int, help="The number of recurrent layers, if all have the same units.")
@network(
    "--bidirectional/--no-bidirectional",
    default=None,
    help="Whether each layer also reads the window backwards.",
)
@network("--dropout", type=float, help="The fraction of a layer's outputs that training drops.")
@training("--iterations", type=int, help="The number of optimizer steps.")
@training("--epochs", type=int, help="The number of passes over the training windows.")
@training("--batch-size", type=int, help="The number of windows for each optimizer step.")
@training("--learning-rate", type=float, help="The initial learning rate.")
@training(
    "--schedule",
    type=NamedChoice(list(SCHEDULES)),
    help="How the learning rate falls. cosine and linear: to 0; exponential: to a hundredth; step: to a "
    "tenth after half and again after three quarters of the iterations; constant.",
)
@training(
    "--early-stopping",
    type=int,
    metavar="REPORTS",
    help="Stop after this many reports without a lower validation loss, and keep the best weights.",
)
@training(
    "--class-weights",
    type=NamedChoice(list(CLASS_WEIGHTS)),
    help="balanced: windows of rare classes count more.",
)
@training(
    "--augment",
    type=ListOf(str),
    metavar="NAME[=STRENGTH],...",
    help="Change each training window at random: jitter, scale, rotate, timewarp, shift.",
)
@training(
    "--shift",
    type=int,
    help="Move each window of a picture at random by up to this many steps and features.",
)
@training(
    "--mixed-precision",
    type=NamedChoice(list(MIXED_PRECISIONS)),
    help="The dtype of matrix products in training, where the processor is faster with it.",
)
@training(
    "--validation-fraction",
    type=float,
    help="The fraction of the training split, 0 to 1, that is held back for validation.",
)
@training(
    "--seed", type=int, help="The random seed. On one machine, the same seed gives the same weights."
)
@training(
    "--folds",
    type=int,
    metavar="K",
    help="Cross-validate: train K models, each tested on another part of the groups, recordings or "
    "windows. --out becomes a folder with their runs, folds.json and folds.png.",
)
@long(
    "--resume",
    is_flag=True,
    help="Continue the interrupted training of --out. Its settings need not be given again.",
)
@long("--tensorboard", type=click.Path(), metavar="DIR", help="Write each report for TensorBoard.")
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
def train(context: click.Context, /, **given: Any) -> None:
    """Train a recurrent classifier and write a run directory.

    The run directory holds the model and the windows that 'edge-rnn convert' needs.
    """
    cluster = _cluster(given)
    if given["finetune"] is not None:
        refuse_others(context, "--finetune", WITH_FINETUNE)
        _finetune(context, given["finetune"], given["out"])
        return
    for name in ("precision", "target"):
        if given[name] is not None:
            raise InputError(
                f"--{name}: goes with --finetune only. Pass it to 'edge-rnn convert' instead."
            )
    from train.fitting.fit import resume_run, train_named

    ways = {name: given[name] for name in ("quiet", "overwrite", "tensorboard")}
    if given["folds"] is not None:
        from train.evaluation.folds import cross_validate_named

        ways["resume"] = given["resume"]
        begun = given["resume"] and not _settings_given(context)
        settings = None if begun else _settings(given)
        click.echo(cross_validate_named(settings, given["folds"], given["out"], **ways))
        return
    if given["resume"] and not _settings_given(context):
        record = resume_run(given["out"], **ways)
    else:
        record = train_named(_settings(given), given["out"], resume=given["resume"], **ways)
    if cluster is not None and not cluster.chief:
        click.echo(f"{cluster.name(cluster.index)} is done. {cluster.name(0)} has written the run.")
        return
    click.echo(_result(given["out"], record))


def _cluster(given: dict[str, Any]) -> Cluster | None:
    """The machines that TF_CONFIG names. Raises InputError for what only one machine does."""
    from train.workers.cluster import cluster_of

    cluster = cluster_of(os.environ)
    for name in ("finetune", "folds"):
        if cluster is not None and given[name] is not None:
            raise InputError(f"--{name}: trains on one machine only. Unset TF_CONFIG.")
    return cluster


def _settings_given(context: click.Context) -> bool:
    """Whether the command line, or a file that it names, says what to train."""
    unsaid = (ParameterSource.DEFAULT, None)
    return any(context.get_parameter_source(name) not in unsaid for name in SETTINGS)


def _settings(given: dict[str, Any]) -> TrainingSettings:
    if given["data_dir"] is not None and given["data"] != "mnist":
        raise InputError("--data-dir: names the folder of mnist's files. Leave it out for other data.")
    if given["epochs"] is not None and given["iterations"] is not None:
        raise InputError("--epochs: has no meaning with --iterations. Leave one of them out.")
    changes = {name: given[name] for name in HYPERPARAMETERS}
    base = preset_named(given["preset"])
    changes["units"] = layered_units(given["units"] or base.units, given["layers"])
    return TrainingSettings(
        data=given["data"],
        data_dir=given["data_dir"],
        options=data_options_from(given),
        hyperparameters=preset_named(given["preset"], **changes),
    )


def _result(out: str, record: RunRecord) -> str:
    return (
        f"{out}: validation accuracy {100 * record.metrics['validation_accuracy']:.2f} %, "
        f"test accuracy {100 * record.metrics['test_accuracy']:.2f} % "
        f"({record.dataset['test']:,} windows)"
    )


def _finetune(context: click.Context, run: str, out: str) -> None:
    from train.finetuning.finetune import Finetuning, finetune_run

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
    from train.evaluation.evaluate import check_json_path, evaluate_run, write_json

    if json_path is not None:
        check_json_path(json_path, run)
    evaluation = evaluate_run(run, index, split)
    if json_path is not None and json_path != "-":
        write_json(evaluation.to_json(), json_path)
    click.echo(json.dumps(evaluation.to_json()) if json_path == "-" else evaluation)
