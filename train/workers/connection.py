"""Messages between two workers: lines of JSON over TCP, read with a limit on everything."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

from train.workers.cluster import Cluster

LONGEST_MESSAGE = 1 << 20  # bytes

LARGEST_FILE = 1 << 32  # bytes

HELLO_SECONDS = 5.0
"""Within so long whoever connects has to say who it is. Others may have found the port."""

WORKER_KEEPALIVE = (15, 5, 4)
"""A machine that is gone without a word is noticed after 15 seconds of silence and 4 times 5 more."""


class WorkerConnection:
    """One connection to another worker. `receive` is for one thread, `send` for any."""

    def __init__(self, peer: socket.socket) -> None:
        self._socket, self._buffer, self._lock = peer, b"", threading.Lock()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in zip(("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT"), WORKER_KEEPALIVE):
            if hasattr(socket, name):  # not on every system
                peer.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)

    def fileno(self) -> int:
        """For selectors."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close it. The other side reads the end."""
        self._socket.close()

    def send(self, message: dict[str, Any], content: bytes = b"") -> None:
        """Send a message, and bytes after it. A side that is gone is found by whoever receives."""
        with self._lock, contextlib.suppress(OSError):
            self._socket.settimeout(None)
            self._socket.sendall(json.dumps(message).encode() + b"\n" + content)

    def receive(self, seconds: float | None = None) -> dict[str, Any] | None:
        """The next message; None when the other side has closed, or sends what is no message."""
        while b"\n" not in self._buffer:
            if len(self._buffer) > LONGEST_MESSAGE or not self._more(seconds):
                return None
        line, _, self._buffer = self._buffer.partition(b"\n")
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            return None
        return message if isinstance(message, dict) else None

    def receive_bytes(self, count: int) -> bytes | None:
        """The next `count` bytes; None when the other side closes before."""
        while len(self._buffer) < count:
            if not self._more(None):
                return None
        content, self._buffer = self._buffer[:count], self._buffer[count:]
        return content

    def _more(self, seconds: float | None) -> bool:
        try:
            self._socket.settimeout(seconds)
            found = self._socket.recv(1 << 20)
        except OSError:
            return False
        self._buffer += found
        return bool(found)


@contextlib.contextmanager
def listening_worker(cluster: Cluster) -> Iterator[socket.socket]:
    """A socket that listens on this worker's port. Raises OSError when another process does."""
    port = cluster.host_and_port(cluster.index)[1]
    family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    with socket.socket(family) as listener:
        # The connections outlive this socket, and TensorFlow listens on the same port afterwards.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(("", port))
        listener.listen(len(cluster.addresses) + 8)
        yield listener


def connected(cluster: Cluster, index: int, seconds: float) -> WorkerConnection | None:
    """A connection to a worker that listens within so many seconds; None when it does not."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        with contextlib.suppress(OSError):
            peer = socket.create_connection(cluster.host_and_port(index), timeout=max(left, 0.1))
            if peer.getsockname() != peer.getpeername():  # Linux may connect a port to itself
                return WorkerConnection(peer)
            peer.close()
        time.sleep(min(0.3, max(left, 0)))
    return None
