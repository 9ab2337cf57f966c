"""The command `edge-rnn doctor`."""

from __future__ import annotations

import click


@click.command()
@click.argument("model", type=click.Path(), required=False)
@click.option(
    "--for",
    "system",
    metavar="SYSTEM",
    help="Of a system that is not at hand: pythonX.Y-ARCHITECTURE-glibcA.B (or -muslA.B), as in "
    "python3.12-aarch64-glibc2.36, or raspios-trixie-64, raspios-bookworm-32 and the like.",
)
@click.option("--engine", default="auto", show_default=True, help="Only this one, in place of all.")
@click.option(
    "--timeout", default=60.0, show_default=True, help="Seconds after which an engine counts as hanging."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def doctor(model: str | None, system: str | None, engine: str, timeout: float, as_json: bool) -> None:
    """What is wrong here, and the command that mends it.

    Tries every TFLite engine that is installed, and MODEL in it, in a child process. With --for nothing
    is tried: the answer comes from recorded facts about the wheels on PyPI.

    Exit code 0 when a TFLite engine (or the one that --engine names) works and runs MODEL, otherwise 1.
    """
    from edge_runtime.doctor.examine import examine
    from edge_runtime.doctor.examine_system import examine_system

    if system is not None:
        diagnosis = examine_system(system, model, engine=engine)
    else:
        diagnosis = examine(model, engine=engine, seconds=timeout)
    click.echo(diagnosis.to_json() if as_json else diagnosis)
    if not diagnosis:
        raise SystemExit(1)
