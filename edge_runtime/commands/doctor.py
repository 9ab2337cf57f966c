"""The command `edge-rnn doctor`."""

from __future__ import annotations

import click


@click.command()
@click.argument("model", type=click.Path(), required=False)
@click.option(
    "--for",
    "system",
    metavar="SYSTEM",
    help="Examine another system: pythonX.Y-ARCHITECTURE-glibcA.B (or -muslA.B), e.g. "
    "python3.12-aarch64-glibc2.36, or a name such as raspios-trixie-64 or raspios-bookworm-32.",
)
@click.option("--engine", default="auto", show_default=True, help="Try only this engine.")
@click.option(
    "--timeout", default=60.0, show_default=True, help="Seconds after which an engine counts as hanging."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(model: str | None, system: str | None, engine: str, timeout: float, as_json: bool) -> None:
    """Find what is wrong on this device, and the command that fixes it.

    Tries every TFLite engine that is installed, and MODEL in it, in a child process. With --for nothing
    is tried; the answer comes from recorded facts about the wheels on PyPI.

    The exit code is 0 when a TFLite engine (or the one that --engine names) works and runs MODEL,
    otherwise 1.
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
