"""Blocks of memory beside which nothing may be read or written: a process that does so ends.

Sanitizers know the size of what malloc gives. Without them, a block ends where a page begins that the
process may not touch.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from contextlib import AbstractContextManager

import numpy as np

PAGE = mmap.PAGESIZE
NO_ACCESS, READ, READ_AND_WRITE = 0, 1, 3

_libc = ctypes.CDLL(None, use_errno=True)
_libc.posix_memalign.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t]
_libc.free.restype, _libc.free.argtypes = None, [ctypes.c_void_p]
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [
    *(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
]
_libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]

SANITIZED = "libasan" in os.environ.get("LD_PRELOAD", "")
"""Whether this process has sanitizers."""


class Block(AbstractContextManager):
    """A copy of bytes at an address that is a multiple of 64, if their number is one."""

    address: int
    values: np.ndarray
    """The bytes, uint8."""

    def __init__(self, content: bytes, read_only: bool = False) -> None:
        """`read_only`: a process that writes there ends; with sanitizers `unchanged` tells instead."""
        self._content, size = content, max(len(content), 1)
        if SANITIZED:
            place = ctypes.c_void_p()
            if _libc.posix_memalign(ctypes.byref(place), 64, size):
                raise MemoryError
            self._start, self._length = place.value, 0
            self.address = self._start
        else:
            pages = -(-size // PAGE) * PAGE
            self._length = pages + 2 * PAGE
            flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
            self._start = _libc.mmap(None, self._length, READ_AND_WRITE, flags, -1, 0)
            _libc.mprotect(self._start, PAGE, NO_ACCESS)
            _libc.mprotect(self._start + PAGE + pages, PAGE, NO_ACCESS)
            self.address = self._start + PAGE + pages - size
        self.values = np.frombuffer((ctypes.c_uint8 * size).from_address(self.address), np.uint8)
        self.values[: len(content)] = np.frombuffer(content, np.uint8)
        if read_only and not SANITIZED:
            _libc.mprotect(self._start + PAGE, self._length - 2 * PAGE, READ)

    def unchanged(self) -> bool:
        """Whether the bytes are what they were."""
        return self.values.tobytes()[: len(self._content)] == self._content

    def __exit__(self, *error: object) -> None:
        if SANITIZED:
            _libc.free(self._start)
        else:
            _libc.munmap(self._start, self._length)
