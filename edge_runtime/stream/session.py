"""What `edge-rnn stream` does: rows in from a source through all its connections, lines of JSON out."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Callable

from edge_runtime.errors import InputError, StreamError
from edge_runtime.inference.answer import Answer, answer_of, check_top
from edge_runtime.inference.streaming import StreamingPredictor
from edge_runtime.inputs import STANDARD_INPUT
from edge_runtime.inputs.lines import Line, longest_line
from edge_runtime.inputs.text import parse_row
from edge_runtime.model_file.metadata import Metadata
from edge_runtime.stream.drop_late import Dropped, drop_late
from edge_runtime.stream.listener import accepted, address, listening
from edge_runtime.stream.sources import Connection, RowSource, opened_source

Write = Callable[[str], object]
"""Takes one line of JSON without the end of the line."""

LONGEST_RECONNECT = 1_000_000
"""Seconds, eleven days; clocks refuse much larger numbers."""

Connections = Generator[Connection, None, None]
"""Each connection is closed when the next is requested, and in the end."""


@dataclass(frozen=True)
class StreamOptions:
    """The options of `edge-rnn stream` that concern the source and its answers."""

    listen: bool = False
    """Wait for the source to connect, and then for the next one, instead of connecting to it."""
    reconnect: float | None = None
    """Seconds until a connection that ended or failed is tried again; None: it is not tried again."""
    top: int | None = None
    """How many classes to show; None: one. Only for classifiers."""
    drop_late: int | None = None
    """Number of rows that may wait before the oldest are dropped; None: the source waits."""
    reply: bool = False
    """Send the answers back over the connection."""

    def check(self, source: RowSource, spec: Metadata) -> None:
        """Raises InputError for options that do not go with the source, the model or one another."""
        check_top(self.top, spec)
        if self.drop_late is not None and self.drop_late < 1:
            raise InputError(f"--drop-late: expected at least 1 row, found {self.drop_late}.")
        if self.listen and not source.is_socket:
            raise InputError(f"--listen: goes with tcp:HOST:PORT and unix:PATH only, found {source}.")
        if self.listen and self.reconnect is not None:
            raise InputError(
                "--reconnect: has no meaning with --listen, which waits for the next peer anyway."
            )
        for option, given in (("--reply", self.reply), ("--reconnect", self.reconnect is not None)):
            if given and source.kind == STANDARD_INPUT:
                raise InputError(
                    f"{option}: goes with sockets and serial ports only, found standard input."
                )
        if self.reconnect is not None and not 0 < self.reconnect <= LONGEST_RECONNECT:
            raise InputError(
                f"--reconnect: expected more than 0 seconds, at most {LONGEST_RECONNECT:,}, found "
                f"{self.reconnect}."
            )


def stream_rows(
    stream: StreamingPredictor[Any], source: RowSource, write: Write, options: StreamOptions
) -> bool:
    """Answer the rows of a source until it ends; returns whether all of them were good.

    `write` gets a line of JSON for every prediction, bad row and gap (drop_late.Dropped), unless these
    go back to the source. If one connection may follow another, it also gets a line when a connection
    begins or ends. Each connection starts with a fresh stream, its rows numbered from 1.

    Raises InputError for options that do not fit, StreamError for a source that cannot be opened or
    breaks off when no other connection follows, and whatever `write` raises.
    """
    options.check(source, stream.spec)
    lasting = options.listen or options.reconnect is not None
    good = True
    with contextlib.closing(_connections(source, write, options)) as connections:
        for connection in connections:
            good_here, error = _answer_all(stream, connection, write, options)
            good &= good_here
            if lasting:
                why = {"error": str(error)} if error else {}
                write(_event("disconnected", peer=connection.name, rows=stream.rows, **why))
            elif error:
                raise error
    return good


def _answer_all(
    stream: StreamingPredictor[Any], connection: Connection, write: Write, options: StreamOptions
) -> tuple[bool, StreamError | None]:
    """Whether all rows of a connection were good, and the error if it broke off."""
    good, send = True, connection.send if options.reply else write
    lines, most = connection.lines(longest_line(stream.spec.features)), options.drop_late
    kept = lines if most is None else drop_late(lines, most)
    stream.reset()
    try:
        for answer in answer_rows(stream, kept, top=options.top):
            good &= isinstance(answer, Dropped) or not answer.failed
            send(answer.to_json())
    except StreamError as error:
        return good, error
    return good, None


def answer_rows(
    stream: StreamingPredictor[Any], lines: Iterable[Line | Dropped], *, top: int | None = None
) -> Iterator[Answer | Dropped]:
    """An answer for every row after which a prediction is due and for every bad row, in order."""
    for line in lines:
        if isinstance(line, Dropped):
            yield line
            continue
        try:
            if line.problem:
                raise InputError(line.problem)
            prediction = stream.push(parse_row(line.text, stream.spec.features))
        except InputError as error:
            yield Answer(None, line.number, False, error=str(error))
            continue
        if prediction is not None:
            yield answer_of(None, line.number, False, prediction, top)


def _connections(source: RowSource, write: Write, options: StreamOptions) -> Connections:
    if options.listen:
        return _peers(source, write)
    if options.reconnect is not None:
        return _attempts(source, write, options.reconnect)
    return _only(source)


def _only(source: RowSource) -> Connections:
    with opened_source(source) as connection:
        yield connection


def _peers(source: RowSource, write: Write) -> Connections:
    with listening(source) as server:
        write(_event("listening", address=address(source, server)))
        while True:
            with accepted(server) as connection:
                write(_event("connected", peer=connection.name))
                yield connection


def _attempts(source: RowSource, write: Write, seconds: float) -> Connections:
    problem = ""
    while True:
        try:
            with opened_source(source) as connection:
                write(_event("connected", peer=connection.name))
                problem = ""
                yield connection
        except StreamError as error:
            if str(error) != problem:  # say why it waits, but once
                problem = str(error)
                write(_event("unreachable", peer=str(source), error=problem))
        time.sleep(seconds)


def _event(name: str, **details: object) -> str:
    return json.dumps({"event": name, **details})
