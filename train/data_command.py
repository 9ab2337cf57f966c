"""The command `edge-rnn data`. Importable with click alone."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from edge_runtime.commands.option_groups import GroupedCommand, option
from train.option_decorators import data_options, data_options_from

output = partial(option, "Data and output")


@click.command(cls=GroupedCommand)
@click.argument("name", metavar="PATH")
@output(
    "--data-dir",
    type=click.Path(),
    help="The folder with the four files of mnist. Default: $EDGE_RNN_DATA. If neither is given, they "
    "are downloaded.",
)
@output("--out", type=click.Path(), metavar="PICTURE.png", help="Draw samples and counts as a picture.")
@output(
    "--json",
    "json_file",
    type=click.Path(allow_dash=True),
    metavar="FILE",
    help="Write everything as JSON, to standard output instead of the tables if FILE is -.",
)
@data_options
def data(name: str, data_dir: str | None, out: str | None, json_file: str | None, **given: Any) -> None:
    """Show what is in a data set before anything is trained on it.

    PATH is what 'edge-rnn train --data' takes. The command prints recordings, groups, classes, rates,
    gaps, missing values, ranges of the features, and the windows and the split of a training. It warns
    of what makes a training or its accuracy doubtful.
    """
    from train.data_overview.write import write_overview

    click.echo(write_overview(name, data_options_from(given), data_dir, out, json_file), nl=False)
