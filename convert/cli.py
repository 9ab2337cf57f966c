"""The command `edge-rnn convert`. Importable with click alone."""

from __future__ import annotations

import click


@click.command()
@click.argument("run", type=click.Path())
@click.option(
    "--precision",
    default="int8",
    show_default=True,
    help="float32, float16, dynamic, mixed, int8, or all for every one of them.",
)
@click.option(
    "--out",
    type=click.Path(),
    help="File to write; with --precision all the folder. Default: RUN/NAME-PRECISION.tflite.",
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
    "--write-graph",
    type=click.Path(),
    metavar="FILE",
    help="Write the quantized graph for 'edge-rnn train --finetune', and no model.",
)
def convert(
    run: str,
    precision: str,
    out: str | None,
    target: str,
    graph: str,
    min_agreement: float | None,
    max_logit_difference: float | None,
    prove: bool,
    require_engine: bool,
    strip: bool,
    write_graph: str | None,
    **options: int,
) -> None:
    """Convert a run to an unrolled TFLite model and prove it against the full model."""
    if write_graph is not None:
        from convert.recorded_graph import write_graph_record

        write_graph_record(run, write_graph, precision=precision, target=target)
        return
    from convert.pipeline import convert_each, output_files
    from convert.proof_engines import how_to_prove

    outputs = output_files(run, precision, out, graph)
    failed = False
    for result in convert_each(
        run,
        outputs,
        target=target,
        graph=graph,
        min_agreement=min_agreement,
        max_logit_difference=max_logit_difference,
        prove=prove,
        require_engine=require_engine,
        strip=strip,
        tell=lambda line: click.echo(line, err=True),
        **options,
    ):
        click.echo(result)
        failed |= not result
    advice = how_to_prove(target)
    if advice:
        click.echo(advice)
    if failed:
        raise SystemExit(1)
