"""The command `edge-rnn predict`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from edge_runtime.commands.shared_options import engine_options, opened_pool
from edge_runtime.errors import InputError

if TYPE_CHECKING:
    from edge_runtime.inputs.lines import Line
    from edge_runtime.model_file.metadata import Metadata


@click.command()
@click.argument("model", type=click.Path())
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option(
    "--index",
    "indices",
    type=int,
    multiple=True,
    help="Classify only this window of a file, from 0. May be repeated.",
)
@click.option("--top", default=1, show_default=True, help="Number of classes to show.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per window.")
@click.option(
    "--invert",
    is_flag=True,
    help="For a dark digit on light paper: swap dark and light, and stretch the contrast.",
)
@click.option(
    "--jobs",
    default=1,
    show_default=True,
    help="Number of interpreters that share the windows of a file.",
)
@engine_options
def predict(
    model: str,
    inputs: tuple[str, ...],
    indices: tuple[int, ...],
    top: int,
    as_json: bool,
    invert: bool,
    jobs: int,
    **options: Any,
) -> None:
    """Classify windows with a converted model.

    INPUT is an image (PNG, JPEG), an .npy or .npz file (its only array, or x) with one window or many,
    an IDX file, or a .csv file with one row or one window on each line. If it is -, windows come from
    standard input, one on each line (numbers separated by commas or spaces, or a JSON array), and each
    is answered with a line of JSON. Values are raw, in the unit of the training data.
    """
    failed = False
    with opened_pool(model, jobs, **options) as classifier:
        from edge_runtime.commands.answer_inputs import answer_inputs

        lines = standard_input(classifier.spec)
        for answer in answer_inputs(
            classifier, inputs, lines=lines, indices=indices, top=top, invert=invert
        ):
            failed |= answer.failed
            click.echo(answer.to_json() if as_json or answer.from_line else answer)
    if failed:
        raise SystemExit(2)


def standard_input(spec: Metadata) -> Iterator[Line]:
    """Lines as they arrive. A generator, so that standard input is touched only when it is read."""
    from edge_runtime.inputs.lines import longest_line, read_lines

    if sys.stdin is None:
        raise InputError("standard input is closed")
    yield from read_lines(sys.stdin.buffer, longest_line(spec.steps * spec.features))
