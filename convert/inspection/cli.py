"""The command `edge-rnn inspect`. Importable with click alone."""

from __future__ import annotations

import click


@click.command()
@click.argument("model", type=click.Path())
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def inspect(model: str, as_json: bool) -> None:
    """Show the operators, tensors, sizes and proof in a .tflite file.

    MODEL may also be a .tflite file that edge-rnn did not write.
    """
    from convert.inspection.inspect_model import inspect_model

    inspection = inspect_model(model)
    click.echo(inspection.to_json() if as_json else inspection)
