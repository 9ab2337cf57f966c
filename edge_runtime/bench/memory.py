"""The memory of this process, now and at most."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def resident_bytes() -> int | None:
    """Resident memory now (Linux: proc(5), statm); None on other systems."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def peak_bytes() -> int | None:
    """Peak resident memory of this process; None if the system does not tell.

    VmHWM of proc(5) is preferred to getrusage's ru_maxrss, which Linux inherits from the parent process,
    so that a small child of a large parent looks large.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    except (OSError, ValueError, StopIteration):
        return _peak_by_getrusage()


def _peak_by_getrusage() -> int | None:
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
