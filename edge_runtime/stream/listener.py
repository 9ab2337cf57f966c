"""Sockets that wait for a source of rows to connect, one peer after the other."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from edge_runtime.errors import StreamError
from edge_runtime.stream.sources import (
    TCP,
    UNIX,
    Connection,
    RowSource,
    socket_connection,
    system_reason,
)


@contextlib.contextmanager
def listening(source: RowSource) -> Iterator[socket.socket]:
    """A socket that listens at a TCP or Unix address.

    The path of a Unix socket is removed in the end, and in the beginning if it is a socket without a
    listener. Raises StreamError when the address cannot be used.
    """
    with contextlib.ExitStack() as stack:
        try:
            server = _tcp_server(source) if source.kind == TCP else _unix_server(source, stack)
        except (OSError, UnicodeError) as error:
            words = system_reason(error) if isinstance(error, OSError) else str(error)
            raise StreamError(f"{source}: cannot listen at this address ({words}).") from None
        stack.enter_context(server)
        yield server


def address(source: RowSource, server: socket.socket) -> str:
    """The address of `server`: the source, with the port that the system has chosen if it was 0."""
    if source.kind != TCP:
        return str(source)
    return str(RowSource(TCP, *server.getsockname()[:2]))


@contextlib.contextmanager
def accepted(server: socket.socket) -> Iterator[Connection]:
    """Wait for the next peer. The connection is closed in the end."""
    peer, where = server.accept()
    if server.family == socket.AF_UNIX:
        name = str(RowSource(UNIX, server.getsockname()))  # the peer has no name
    else:
        name = str(RowSource(TCP, *where[:2]))
    with contextlib.ExitStack() as stack:
        yield socket_connection(name, peer, stack)


def _tcp_server(source: RowSource) -> socket.socket:
    family = socket.AF_INET6 if ":" in source.place else socket.AF_INET
    return socket.create_server((source.place, source.number), family=family, backlog=1)


def _unix_server(source: RowSource, stack: contextlib.ExitStack) -> socket.socket:
    _remove_stale(Path(source.place))
    server = socket.socket(socket.AF_UNIX)
    stack.callback(server.close)
    server.bind(source.place)
    stack.callback(Path(source.place).unlink, missing_ok=True)
    server.listen(1)
    return server


def _remove_stale(path: Path) -> None:
    """Remove a socket that an earlier process left; `bind` refuses any other file."""
    if not (path.exists() and stat.S_ISSOCK(os.stat(path).st_mode)):
        return
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except BlockingIOError:
            return  # it has a listener, and other peers are waiting already
        except ConnectionRefusedError:
            path.unlink()
