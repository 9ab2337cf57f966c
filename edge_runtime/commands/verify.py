"""The command `edge-rnn verify`."""

from __future__ import annotations

from typing import Any

import click

from edge_runtime.commands.shared_options import engine_options, opened


@click.command()
@click.argument("model", type=click.Path())
@engine_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def verify(model: str, as_json: bool, **options: Any) -> None:
    """Repeat a part of a model's proof in this device's engine.

    A model file carries probes, which are a few windows with the full model's logits. This command runs
    them in the engine. The exit code is 1 if the engine loads the model but computes other logits.
    """
    with opened(model, **options) as predictor:
        verification = predictor.verify()
    click.echo(verification.to_json() if as_json else verification, err=not (verification or as_json))
    if not verification:
        raise SystemExit(1)
