"""The command `edge-rnn stream`."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from typing import Any

import click

from edge_runtime.commands.shared_options import engine_options, opened_stream

INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 and the signal's number, as a shell reports it."""


@click.command()
@click.argument("model", type=click.Path())
@click.option(
    "--from",
    "source",
    default="-",
    show_default=True,
    help="The source of the rows: - (standard input), serial:DEVICE, serial:DEVICE:BAUD (default "
    "115200), tcp:HOST:PORT or unix:PATH.",
)
@click.option(
    "--listen", is_flag=True, help="Wait for peers to connect to the address of --from, one at a time."
)
@click.option(
    "--hop", default=1, show_default=True, help="The number of rows from one prediction to the next."
)
@click.option(
    "--restart", is_flag=True, help="For a step file: reset the states to zero after every window."
)
@click.option("--top", type=int, help="The number of classes to show. Default: 1. For classifiers only.")
@click.option(
    "--drop-late",
    type=int,
    metavar="N",
    help="Let at most N rows wait. When more arrive, drop the oldest and report the loss.",
)
@click.option(
    "--reconnect",
    type=float,
    metavar="SECONDS",
    help="Connect again this many seconds after a connection ends.",
)
@click.option("--reply", is_flag=True, help="Send the answers back over the socket or serial port.")
@engine_options
def stream(
    model: str,
    source: str,
    listen: bool,
    hop: int,
    restart: bool,
    top: int | None,
    drop_late: int | None,
    reconnect: float | None,
    reply: bool,
    **options: Any,
) -> None:
    """Answer rows as they arrive, one row on each line.

    A row holds the features of one step, separated by commas or spaces, or as a JSON array. Values are
    raw, in the unit of the training data.

    Every answer is a line of JSON, with a class or with numbers. It is made from the last rows, which
    fill one window. With a step file ('edge-rnn convert --graph step') it is made from all rows so far.
    A bad row is answered with its error and does not count. The exit code is then 2.
    """
    from edge_runtime.stream.sources import parse_source

    place = parse_source(source)
    with _ended_by_signals(), opened_stream(model, hop=hop, restart=restart, **options) as rows:
        from edge_runtime.stream.session import StreamOptions, stream_rows

        stream_options = StreamOptions(listen, reconnect, top, drop_late, reply)
        good = stream_rows(rows, place, click.echo, stream_options)
    if not good:
        raise SystemExit(2)


class _Terminated(BaseException):
    """SIGTERM has arrived."""


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Ctrl-C and SIGTERM leave the block as an error does, which closes and removes what it opened."""

    def terminate(number: int, frame: object) -> None:
        raise _Terminated

    signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    except _Terminated:
        # Ends without writing what standard output still holds: its reader may never take it.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
