"""The command `edge-rnn export-c`. Importable with click alone."""

from __future__ import annotations

import click


@click.command(name="export-c")
@click.argument("model", type=click.Path())
@click.option("--out", type=click.Path(), required=True, help="The folder to write.")
@click.option(
    "--name",
    help="What all names in the C code start with. Default: the name of MODEL, such as mnist_int8.",
)
@click.option("--overwrite", is_flag=True, help="Replace the folder if it exists.")
def export_command(model: str, out: str, name: str | None, overwrite: bool) -> None:
    """Write a .tflite file of edge-rnn as C99 for microcontrollers.

    The folder has the sources, build files for CMake, Arduino and PlatformIO, a program that runs the
    model's own probes, and a README with the sizes. Nothing in it needs a heap, and an int8 model
    computes without float.
    """
    from convert.c_export.export import export_c

    click.echo(export_c(model, out, name=name, overwrite=overwrite))
