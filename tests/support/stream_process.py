"""`edge-rnn stream` as a running process, which a test talks to."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

PATIENCE = 60
"""Seconds after which a process that hangs is killed, so that its test fails instead of hanging too."""


def heed_ctrl_c() -> None:
    """Undo what a shell does to tests in the background: they and their children would ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class StreamProcess(subprocess.Popen):
    """The command with pipes. `answers` holds the lines that it printed."""

    def __init__(self, *arguments: object) -> None:
        command = [sys.executable, "-m", "edge_runtime", "stream", *map(str, arguments)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        super().__init__(command, **pipes, preexec_fn=heed_ctrl_c)

    def send(self, data: bytes) -> None:
        self.stdin.write(data)
        self.stdin.flush()

    def answer(self) -> dict:
        """The next line of standard output."""
        return json.loads(self.stdout.readline())

    def answers(self) -> list[dict]:
        """All lines until the process closes standard output."""
        return [json.loads(line) for line in self.stdout]

    def end(self, *, code: int) -> list[str]:
        """Close standard input and wait; the lines of standard error."""
        with contextlib.suppress(BrokenPipeError):
            self.stdin.close()
        found = self.wait(PATIENCE)
        errors = self.stderr.read().decode().splitlines()
        errors = [line for line in errors if "XNNPACK delegate" not in line]
        assert found == code, errors
        assert not any("Traceback" in line for line in errors), errors
        return errors

    def send_until_blocked(self, data: bytes, seconds: float) -> int:
        """Write `data` until the process takes nothing for `seconds`; returns the bytes taken."""
        os.set_blocking(self.stdin.fileno(), False)
        sent = 0
        while sent < len(data) and select.select([], [self.stdin], [], seconds)[1]:
            sent += os.write(self.stdin.fileno(), data[sent : sent + 4096])
        os.set_blocking(self.stdin.fileno(), True)
        return sent


@contextlib.contextmanager
def streaming(*arguments: object) -> Iterator[StreamProcess]:
    """The running command, which is killed in the end if it has not ended by itself."""
    with StreamProcess(*arguments) as process:
        watchdog = threading.Timer(PATIENCE, process.kill)
        watchdog.start()
        try:
            yield process
        finally:
            watchdog.cancel()
            process.kill()


def connect(address: str) -> socket.socket:
    """A connection to an address as the command prints it."""
    kind, _, place = address.partition(":")
    if kind == "unix":
        peer = socket.socket(socket.AF_UNIX)
        peer.settimeout(PATIENCE)
        peer.connect(place)
        return peer
    host, _, port = place.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE)


@contextlib.contextmanager
def server(kind: str, folder: Path) -> Iterator[tuple[socket.socket, str]]:
    """A listening socket and its address, as `--from` takes it."""
    if kind == "tcp":
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(PATIENCE)
            yield listener, f"tcp:127.0.0.1:{listener.getsockname()[1]}"
    else:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.settimeout(PATIENCE)
            listener.bind(str(folder / "s"))
            listener.listen()
            yield listener, f"unix:{folder / 's'}"
