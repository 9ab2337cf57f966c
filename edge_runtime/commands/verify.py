"""The command `edge-rnn verify`."""

from __future__ import annotations

import click


@click.command()
@click.argument("model", type=click.Path())
@click.option("--engine", default="auto", show_default=True, help="TFLite engine to use.")
@click.option("--threads", default=1, show_default=True, help="Threads of the engine.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def verify(model: str, engine: str, threads: int, as_json: bool) -> None:
    """Run the probes that a model carries in this device's engine.

    Exit code 1 when the engine loads the model but disagrees with the full model's logits.
    """
    from edge_runtime.classifier import Classifier
    from edge_runtime.extras import quiet_stderr

    with quiet_stderr():  # the engine announces its delegate there
        verification = Classifier(model, engine=engine, threads=threads).verify()
    click.echo(verification.to_json() if as_json else verification, err=not (verification or as_json))
    if not verification:
        raise SystemExit(1)
