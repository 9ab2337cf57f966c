"""The command `edge-rnn convert`. Importable with click alone."""

from __future__ import annotations

from typing import Any

import click


@click.command()
@click.argument("model", type=click.Path())
@click.option(
    "--data",
    type=click.Path(),
    help="Windows for a model of your own: an .npz file with x [N, steps, features] as the model takes "
    "them, and the classes y [N], if known.",
)
@click.option(
    "--tf1-basic-lstm",
    "kind",
    flag_value="tf1-basic-lstm",
    help="MODEL is a TensorFlow 1 checkpoint of a BasicLSTMCell and a dense layer.",
)
@click.option("--onnx", "kind", flag_value="onnx", help="MODEL is an ONNX model; .onnx implies it.")
@click.option(
    "--onnx-output", help="Output of the ONNX model that has the logits, where it has several."
)
@click.option(
    "--torch",
    "kind",
    flag_value="torch",
    help="MODEL is a PyTorch state dict of recurrent layers and nn.Linear; .pt and .pth imply it.",
)
@click.option(
    "--torch-last",
    type=click.Choice(["output", "h_n"]),
    help="What a bidirectional PyTorch model reads: output[:, -1], the default, or both ends h_n.",
)
@click.option("--labels", default="", help="The classes' names, apart by commas.")
@click.option(
    "--precision",
    default="int8",
    show_default=True,
    help="float32, float16, dynamic, int4, int16x8, mixed, int8; all for every one that the target has; "
    "auto for the smallest file within the budget.",
)
@click.option(
    "--out",
    type=click.Path(),
    help="File to write; with --precision all the folder. Default: NAME-PRECISION.tflite in the run, "
    "or beside the model.",
)
@click.option(
    "--target",
    default="any",
    show_default=True,
    help="Engine of the device: tflite-runtime-2.14, litert-1.4, litert-2.1 and so on, or any of them.",
)
@click.option(
    "--prove",
    is_flag=True,
    help="Make an isolated environment for each engine of the target that is not here, and prove there.",
)
@click.option(
    "--require-engine",
    is_flag=True,
    help="Write no file that is not proven on every engine of the target.",
)
@click.option(
    "--graph",
    default="unrolled",
    show_default=True,
    help="unrolled: a window in, its logits out. step: one row and the states in and out, for streams.",
)
@click.option(
    "--strip",
    is_flag=True,
    help="Leave out tensor names: a tenth smaller; the TFLite engines load it, OpenVINO does not.",
)
@click.option(
    "--calibration-samples",
    default=500,
    show_default=True,
    help="Training windows used, of the up to 5,000 that a run keeps.",
)
@click.option("--calibration-seed", default=0, show_default=True, help="Chooses those windows.")
@click.option(
    "--parity-windows", default=10_000, show_default=True, help="Test windows compared, at least 1,000."
)
@click.option("--min-agreement", type=float, help="Parity budget: least agreement, 0 to 1.")
@click.option("--max-logit-difference", type=float, help="Parity budget: largest difference.")
@click.option(
    "--recipe",
    type=click.Path(),
    help="TOML file with precision, ranges and weight formats by tensor (docs/guides/precisions.md).",
)
@click.option(
    "--explain",
    type=click.Path(),
    metavar="FOLDER",
    help="Print the loss by time step and gate, and write it to FOLDER as JSON and as a picture.",
)
@click.option(
    "--write-graph",
    type=click.Path(),
    metavar="FILE",
    help="Write the quantized graph for 'edge-rnn train --finetune', and no model.",
)
def convert(
    model: str,
    labels: str,
    precision: str,
    out: str | None,
    target: str,
    graph: str,
    prove: bool,
    recipe: str | None,
    write_graph: str | None,
    **options: Any,
) -> None:
    """Convert MODEL to an unrolled TFLite model and prove it against the full model.

    MODEL is a run directory of 'edge-rnn train', or with --data a Keras model (.keras, .h5),
    an ONNX model (.onnx) or a PyTorch state dict (.pt, .pth).
    """
    if write_graph is not None:
        from convert.finetune_record import write_graph_record
        from edge_runtime.errors import InputError

        if recipe is not None:
            raise InputError("--recipe has no meaning with --write-graph: leave it out")
        write_graph_record(model, write_graph, precision=precision, target=target)
        return
    from convert.pipeline import convert_each, output_files, precision_of
    from convert.proof.engines import how_to_prove

    common: dict[str, Any] = {
        "prove": prove,
        "tell": lambda line: click.echo(line, err=True),
        "labels": tuple(label.strip() for label in labels.split(",")) if labels else (),
        "target": target,
        "graph": graph,
        "recipe": recipe,
        **{name: value for name, value in options.items() if value is not None},
    }
    failed = False
    chosen = precision_of(recipe, precision)
    if chosen == "auto":
        from convert.auto_precision import convert_auto

        choice, found = convert_auto(model, out, **common)
        click.echo(choice)
        failed = not found
        if found is not None:
            click.echo(found)
    else:
        outputs = output_files(model, chosen, out, graph, target)
        for result in convert_each(model, outputs, **common):
            click.echo(result)
            failed |= not result
    advice = how_to_prove(target)
    if advice:
        click.echo(advice)
    if failed:
        raise SystemExit(1)
