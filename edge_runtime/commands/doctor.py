"""The command `edge-rnn doctor`."""

from __future__ import annotations

import click


@click.command()
@click.argument("model", type=click.Path(), required=False)
@click.option(
    "--for",
    "system",
    metavar="SYSTEM",
    help="Examine another system. Give a name, such as raspios-trixie-64 or raspios-bookworm-32, or "
    "pythonX.Y-ARCHITECTURE-glibcA.B (or -muslA.B), such as python3.12-aarch64-glibc2.36.",
)
@click.option(
    "--engine",
    default="auto",
    show_default=True,
    help="Try only this engine. auto: native and every TFLite engine that is installed.",
)
@click.option(
    "--timeout", default=60.0, show_default=True, help="Give up on an engine after this many seconds."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(model: str | None, system: str | None, engine: str, timeout: float, as_json: bool) -> None:
    """Find what is wrong on this device, and how to fix it.

    The doctor tries edge-rnn's own engine, native, and every TFLite engine that is installed, each in a
    child process. If you give MODEL, it also runs the model in each of them. It prints the command that
    fixes each problem. With --for it tries nothing, and answers from recorded facts about the wheels of
    edge-rnn and those on PyPI.

    The exit code is 0 if at least one of these engines (or the one that --engine names) works and runs
    MODEL. Otherwise it is 1.
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
