"""The command `edge-rnn verify`."""

from __future__ import annotations

import click


@click.command()
@click.argument("model", type=click.Path())
@click.option("--engine", default="auto", show_default=True, help="TFLite engine to use.")
@click.option("--threads", default=1, show_default=True, help="Threads of the engine.")
@click.option(
    "--shared-weights",
    is_flag=True,
    help="One packed copy of each matrix for all steps: faster. For all but int16x8, on ai-edge-litert "
    "2.1.6 and newer.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def verify(model: str, engine: str, threads: int, shared_weights: bool, as_json: bool) -> None:
    """Run the probes that a model carries in this device's engine.

    Exit code 1 when the engine loads the model but disagrees with the full model's logits.
    """
    from edge_runtime.classifier import Classifier
    from edge_runtime.extras import quiet_exit, quiet_stderr

    if shared_weights:
        quiet_exit()  # its accelerators take their leave there
    with quiet_stderr():  # the engine announces its delegate there
        classifier = Classifier(model, engine=engine, threads=threads, shared_weights=shared_weights)
        verification = classifier.verify()
        classifier.close()
    click.echo(verification.to_json() if as_json else verification, err=not (verification or as_json))
    if not verification:
        raise SystemExit(1)
