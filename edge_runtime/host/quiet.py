"""Keeps native libraries quiet, or what they say, and the garbage collector out of the way."""

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
    """Without garbage collection, which only costs time around imports: their objects all stay."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def quiet_exit() -> None:
    """Silence native code that writes to standard error while Python ends. For commands only."""
    atexit.register(_silence)


def _silence() -> None:
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def _held_back() -> IO[bytes]:
    """A file that no other process sees, in memory if the system offers that."""
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("stderr"), "w+b")
    import tempfile

    return tempfile.TemporaryFile()


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hold back what native code writes to file descriptor 2, and print it only after an exception.

    After an EdgeRnnError it is not printed, because that message is complete. For commands only, around
    the start of a large library: the descriptor belongs to the whole process. Does nothing without a
    standard error or a place to hold its output.
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


@contextlib.contextmanager
def caught_stderr() -> Iterator[list[str]]:
    """Keep what native code writes to file descriptor 2. The list has its lines after the block.

    The descriptor belongs to the whole process, so that one thread at a time may do this. The list stays
    empty without a standard error or a place to hold its output.
    """
    lines: list[str] = []
    with contextlib.ExitStack() as stack:
        try:
            saved = os.dup(2)
            stack.callback(os.close, saved)
            held = stack.enter_context(_held_back())
        except OSError:
            yield lines
            return
        os.dup2(held.fileno(), 2)
        try:
            yield lines
        finally:
            os.dup2(saved, 2)
            held.seek(0)
            lines += held.read().decode("utf-8", "replace").splitlines()
