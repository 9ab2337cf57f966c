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
    help="Answer only this window of a file. The first window is 0. May be repeated.",
)
@click.option("--top", type=int, help="The number of classes to show. Default: 1. For classifiers only.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each window.")
@click.option(
    "--invert",
    is_flag=True,
    help="For a dark digit on light paper: swap dark and light, and stretch the contrast.",
)
@click.option(
    "--jobs",
    default=1,
    show_default=True,
    help="The number of interpreters among which the windows of a file are divided.",
)
@engine_options
def predict(
    model: str,
    inputs: tuple[str, ...],
    indices: tuple[int, ...],
    top: int | None,
    as_json: bool,
    invert: bool,
    jobs: int,
    **options: Any,
) -> None:
    """Classify windows with a converted model, or compute its numbers.

    Values are raw, in the unit of the training data. INPUT is one of these:

    \b
      .npy, .npz  one window, or many; an .npz file has one array, or calls it x
      .csv        one window with a row on each line, or a whole window on each line
      PNG, JPEG   one picture
      IDX         pictures in the format of MNIST, plain or gzip
      -           standard input, with one window on each line, as numbers
                  separated by commas or spaces, or as a JSON array

    Every line of standard input is answered with a line of JSON.
    """
    failed = False
    with opened_pool(model, jobs, **options) as predictor:
        from edge_runtime.commands.answer_inputs import answer_inputs

        lines = standard_input(predictor.spec)
        for answer in answer_inputs(
            predictor, inputs, lines=lines, indices=indices, top=top, invert=invert
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
