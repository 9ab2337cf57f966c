"""Keeps native libraries quiet while they load and end, and the garbage collector out of the way."""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
from collections.abc import Iterator
from typing import IO

from edge_runtime.errors import EdgeRnnError


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Without garbage collection: around imports, whose many objects all stay, it only costs time."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def quiet_exit() -> None:
    """Let native code print nothing on file descriptor 2 once Python has ended; for a command."""
    atexit.register(_silence)


def _silence() -> None:
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def _held_back() -> IO[bytes]:
    """A file that no other process sees, in memory where the system has such."""
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("stderr"), "w+b")
    import tempfile

    return tempfile.TemporaryFile()


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hold back what native code prints on file descriptor 2; on an exception it is printed.

    Not on one of ours, whose sentence says it all.

    For the start-up messages of a large library in a command of its own: the descriptor belongs to the
    whole process. Does nothing where there is no standard error or no place to hold it.
    """
    with contextlib.ExitStack() as stack:
        try:
            saved = os.dup(2)
            stack.callback(os.close, saved)
            held = stack.enter_context(_held_back())
        except OSError:
            yield
            return
        os.dup2(held.fileno(), 2)
        try:
            yield
        except EdgeRnnError:
            os.dup2(saved, 2)
            raise
        except BaseException:
            os.dup2(saved, 2)
            held.seek(0)
            os.write(2, held.read())
            raise
        os.dup2(saved, 2)
