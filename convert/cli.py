"""The command `edge-rnn convert`. Importable with click alone."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from convert.source_options import read_options, source_options
from convert.targets.precision import PRECISIONS
from convert.targets.target import TARGETS
from edge_runtime.commands.option_groups import GroupedCommand, NamedChoice, option, refuse_others

conversion = partial(option, "Conversion")
calibration = partial(option, "Calibration and proof")
advanced = partial(option, "Advanced")

WITH_WRITE_GRAPH = ("write_graph", "precision", "target")
"""The options that --write-graph goes with."""


@click.command(cls=GroupedCommand)
@click.argument("model", type=click.Path())
@conversion(
    "--precision",
    type=NamedChoice([*PRECISIONS, "all", "auto"]),
    help="The precision of the weights and the arithmetic. all: one file for each precision that the "
    "target has. auto: the smallest file that meets the parity budget. Default: the recipe's, or int8.",
)
@conversion(
    "--target",
    type=NamedChoice(list(TARGETS)),
    default="any",
    show_default=True,
    help="The engine on the device. any: the file must work in every engine of this list "
    "but tflm, which is TensorFlow Lite for Microcontrollers.",
)
@conversion(
    "--graph",
    type=NamedChoice(["unrolled", "step"]),
    default="unrolled",
    show_default=True,
    help="unrolled: the file takes a whole window and returns its logits. step: it takes one row and "
    "the recurrent states, for streams.",
)
@conversion(
    "--out",
    type=click.Path(),
    help="The file to write. With --precision all, the folder to write. Default: NAME-PRECISION.tflite "
    "in the run directory, or beside a model of your own.",
)
@source_options(
    "An .npz file with your windows: x [N, steps, features] as the model takes them, and the classes y "
    "[N] if you know them. For a regression, y are the true values."
)
@calibration(
    "--calibration-samples",
    default=500,
    show_default=True,
    help="The number of training windows used for calibration. A run keeps up to 5,000.",
)
@calibration(
    "--calibration-seed",
    default=0,
    show_default=True,
    help="The random seed that chooses the calibration windows.",
)
@calibration(
    "--parity-windows",
    default=10_000,
    show_default=True,
    help="The largest number of test windows to compare with the full model. At least 1,000.",
)
@calibration(
    "--min-agreement",
    type=float,
    help="Parity budget: the smallest fraction of windows, 0 to 1, that must get the full model's "
    "class. Default: the precision's own.",
)
@calibration(
    "--max-logit-difference",
    type=float,
    help="Parity budget: the largest difference allowed in any logit. Default: the precision's own.",
)
@calibration(
    "--max-error",
    type=float,
    help="Parity budget of a regression or an embedding: the largest root mean square error of an "
    "output, in standard deviations of the full model's output. Default: the precision's own.",
)
@calibration(
    "--min-cosine",
    type=float,
    help="Parity budget of an embedding: the smallest cosine with the full model's vector. Default: the "
    "precision's own.",
)
@calibration(
    "--prove",
    is_flag=True,
    help="Install each missing engine of the target in an isolated environment, and prove the file "
    "there too.",
)
@calibration(
    "--require-engine",
    is_flag=True,
    help="Write the file only if it is proven on every engine of the target.",
)
@calibration(
    "--strict",
    is_flag=True,
    help="Write the file only if the windows prove the budget. Without it, a file is also written whose "
    "windows are too few for that (docs/guides/precisions.md).",
)
@advanced(
    "--recipe",
    type=click.Path(),
    help="A TOML file that sets the precision, or the ranges and weight formats of single tensors "
    "(docs/guides/precisions.md).",
)
@advanced(
    "--explain",
    type=click.Path(),
    metavar="FOLDER",
    help="Print the quantization error by time step and gate, and write it to FOLDER as JSON and as a "
    "picture.",
)
@advanced(
    "--strip",
    is_flag=True,
    help="Leave out the tensor names. The file is a tenth smaller. The TFLite engines load it, "
    "OpenVINO does not.",
)
@advanced(
    "--write-graph",
    type=click.Path(),
    metavar="FILE",
    help="Write the quantized graph for 'edge-rnn train --finetune', instead of a model.",
)
@click.pass_context
def convert(
    context: click.Context,
    /,
    model: str,
    precision: str | None,
    target: str,
    graph: str,
    out: str | None,
    calibration_samples: int,
    calibration_seed: int,
    parity_windows: int,
    min_agreement: float | None,
    max_logit_difference: float | None,
    max_error: float | None,
    min_cosine: float | None,
    prove: bool,
    require_engine: bool,
    strict: bool,
    recipe: str | None,
    explain: str | None,
    strip: bool,
    write_graph: str | None,
    **source: Any,
) -> None:
    """Convert MODEL to TFLite and prove it against the full model.

    MODEL is a run directory of 'edge-rnn train'. With --data it is a model of your own: a Keras model
    (.keras, .h5, or a SavedModel folder), an ONNX model (.onnx) or a PyTorch state dict (.pt, .pth).

    The file is first run on test windows, in native and every installed TFLite engine. It is written
    only if its answers are within the parity budget. Otherwise the exit code is 1.
    """
    if write_graph is not None:
        from convert.finetune_record import write_graph_record

        refuse_others(context, "--write-graph", WITH_WRITE_GRAPH)
        write_graph_record(model, write_graph, precision=precision or "int8", target=target)
        return
    from convert.api import convert_named
    from convert.options import ConversionOptions
    from convert.proof.engines import how_to_prove

    read = read_options(
        source,
        calibration_samples=calibration_samples,
        calibration_seed=calibration_seed,
        parity_windows=parity_windows,
    )
    options = ConversionOptions(
        target=TARGETS[target],
        graph=graph,
        min_agreement=min_agreement,
        max_logit_difference=max_logit_difference,
        max_error=max_error,
        min_cosine=min_cosine,
        require_engine=require_engine,
        strict=strict,
        explain=explain,
        strip=strip,
    ).with_recipe(recipe)
    failed = False
    progress = partial(click.echo, err=True)
    for result in convert_named(model, out, precision, read, options, prove=prove, progress=progress):
        click.echo(result)
        failed |= not result
    advice = how_to_prove(options.target)
    if advice:
        click.echo(advice)
    if failed:
        raise SystemExit(1)
