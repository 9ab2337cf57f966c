"""Where the rows of a stream come from: standard input, a serial port, or a socket to connect to."""

from __future__ import annotations

import contextlib
import io
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Callable, cast

from edge_runtime.errors import InputError, StreamError
from edge_runtime.host.optional_packages import needs_extra
from edge_runtime.inputs import STANDARD_INPUT
from edge_runtime.inputs.lines import Line, read_lines

SERIAL, TCP, UNIX = "serial", "tcp", "unix"

CHOICES = (
    "-, serial:DEVICE, serial:DEVICE:BAUD, tcp:HOST:PORT or unix:PATH, as in serial:/dev/ttyUSB0:115200"
)

DEFAULT_BAUD = 115200

CONNECT_SECONDS = 10.0
"""Seconds that connecting by TCP may take."""

KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}
"""A silent TCP peer is probed after TCP_KEEPIDLE seconds, then every TCP_KEEPINTVL seconds, TCP_KEEPCNT
times. A peer that has lost its power or its network is given up after two minutes."""


@dataclass(frozen=True)
class RowSource:
    """The address of a source of rows."""

    kind: str
    """STANDARD_INPUT, SERIAL, TCP or UNIX."""
    place: str = ""
    """The device, host or path."""
    number: int = 0
    """The baud rate or port."""

    @property
    def is_socket(self) -> bool:
        """Whether it has an address to listen at."""
        return self.kind in (TCP, UNIX)

    def __str__(self) -> str:
        """As `--from` names it, with standard input in words."""
        if self.kind == STANDARD_INPUT:
            return "standard input"
        if self.kind == UNIX:
            return f"unix:{self.place}"
        place = f"[{self.place}]" if self.kind == TCP and ":" in self.place else self.place
        return f"{self.kind}:{place}:{self.number}"


def parse_source(text: str) -> RowSource:
    """The source that `--from` names. Raises InputError with the choices for anything else."""
    kind, _, rest = text.partition(":")
    if text == STANDARD_INPUT:
        return RowSource(STANDARD_INPUT)
    if kind == UNIX and rest:
        return RowSource(UNIX, rest)
    place, _, number = rest.rpartition(":")
    digits = number.isascii() and number.isdigit()
    if kind == SERIAL and rest:
        return (
            RowSource(SERIAL, place, int(number))
            if place and digits
            else RowSource(SERIAL, rest, DEFAULT_BAUD)
        )
    if kind == TCP and place and digits and int(number) <= 65535:
        return RowSource(TCP, place[1:-1] if place.startswith("[") else place, int(number))
    raise InputError(f"--from: unknown source {text!r}. Expected {CHOICES}.")


@dataclass(frozen=True)
class Connection:
    """An open source of rows."""

    name: str
    """Its name in messages."""
    file: BinaryIO
    """Buffered; read by `lines`."""
    write: Callable[[bytes], object] | None = None
    """Sends bytes to the other side; None if the source takes no answers."""
    cut: bool = True
    """Whether the connection may end in the middle of a row."""

    def lines(self, limit: int) -> Iterator[Line]:
        """Lines as lines.read_lines gives them. Raises StreamError when the connection breaks off."""
        try:
            yield from read_lines(self.file, limit, cut=self.cut)
        except OSError as error:
            raise broken_off(self.name, error) from None

    def send(self, text: str) -> None:
        """Send a line to the other side. Raises StreamError when the other side is gone."""
        assert self.write is not None
        try:
            self.write(text.encode() + b"\n")
        except OSError as error:
            raise broken_off(self.name, error) from None


def broken_off(name: str, error: OSError) -> StreamError:
    """The error for a connection that ended without being closed by the other side."""
    return StreamError(f"{name}: the connection broke off ({system_reason(error)}).")


def system_reason(error: OSError) -> str:
    """The system's words for an error, or those of the library that raised it."""
    if error.errno and error.errno > 0:
        return os.strerror(error.errno)
    return str(error.strerror or error)  # socket.gaierror has numbers of its own, pyserial has none


@contextlib.contextmanager
def opened_source(source: RowSource) -> Iterator[Connection]:
    """Open a source. It is closed in the end, which also ends a read in another thread.

    Raises StreamError when it cannot be opened, InputError for an impossible name or baud rate, and
    MissingExtraError for a serial port without pyserial.
    """
    with contextlib.ExitStack() as stack:
        try:
            connection = _OPEN[source.kind](source, stack)
        except OSError as error:
            raise StreamError(f"{source}: cannot be opened ({system_reason(error)}).") from None
        except UnicodeError as error:
            raise InputError(f"{source}: not a host name ({error}).") from None
        yield connection


def _standard_input(source: RowSource, stack: contextlib.ExitStack) -> Connection:
    # Not sys.stdin: Python takes its lock when it ends, while a thread may be waiting in it for a row.
    return Connection(str(source), io.BufferedReader(io.FileIO(0, closefd=False)), cut=False)


def _tcp(source: RowSource, stack: contextlib.ExitStack) -> Connection:
    peer = socket.create_connection((source.place, source.number), timeout=CONNECT_SECONDS)
    return socket_connection(str(source), peer, stack)


def _unix(source: RowSource, stack: contextlib.ExitStack) -> Connection:
    peer = socket.socket(socket.AF_UNIX)
    stack.callback(peer.close)
    peer.connect(source.place)
    return socket_connection(str(source), peer, stack)


def socket_connection(name: str, peer: socket.socket, stack: contextlib.ExitStack) -> Connection:
    """The connection over a connected socket, which `stack` closes."""
    stack.callback(peer.close)
    peer.settimeout(None)
    if peer.family != socket.AF_UNIX:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in KEEPALIVE.items():
            if hasattr(socket, option):  # systems differ in the options they have
                peer.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    file = stack.enter_context(peer.makefile("rb"))
    stack.callback(_shut_down, peer)
    return Connection(name, cast(BinaryIO, file), peer.sendall)


def _shut_down(peer: socket.socket) -> None:
    """End a read in another thread, which would otherwise hold the file's lock for ever."""
    with contextlib.suppress(OSError):  # the other side has closed it first
        peer.shutdown(socket.SHUT_RDWR)


def _serial(source: RowSource, stack: contextlib.ExitStack) -> Connection:
    with needs_extra("serial", "pyserial", f"reading rows from {source}"):
        import serial
    try:
        port = serial.Serial(source.place, source.number)
    except ValueError as error:
        raise InputError(f"{source}: cannot be opened ({error}).") from None
    stack.callback(port.close)
    file = stack.enter_context(io.BufferedReader(_SerialBytes(port)))
    stack.callback(port.cancel_read)
    return Connection(str(source), file, port.write)


class _SerialBytes(io.RawIOBase):
    """Reads what a serial port has, at least a byte; pyserial's own file waits for a full buffer."""

    def __init__(self, port: Any) -> None:
        self._port = port

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._port.read(max(1, min(len(buffer), self._port.in_waiting)))
        buffer[: len(data)] = data
        return len(data)


_OPEN: dict[str, Callable[[RowSource, contextlib.ExitStack], Connection]] = {
    STANDARD_INPUT: _standard_input,
    SERIAL: _serial,
    TCP: _tcp,
    UNIX: _unix,
}
