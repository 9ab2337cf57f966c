"""How much memory this process has, and had at most."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def resident_bytes() -> int | None:
    """What lies in memory now (Linux: proc(5), statm); None on other systems."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def peak_bytes() -> int | None:
    """The most that this process ever had in memory; None where the system does not say.

    VmHWM of proc(5) and not getrusage's ru_maxrss where there is a choice: Linux hands the latter on
    from the process that started this one, so that a small child of a large parent looks large.
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
