"""Which C library this Python runs on: the GNU one or musl, and its version."""

from __future__ import annotations

import glob
import os
import re
import subprocess

from edge_runtime.doctor.system import GLIBC, MUSL

MUSL_LOADERS = "/lib/ld-musl-*.so.1"


def libc_version() -> tuple[str, tuple[int, int]]:
    """(GLIBC or MUSL, its version), or ("", (0, 0)) where there is neither, as on other systems."""
    return _glibc() or _musl(MUSL_LOADERS) or ("", (0, 0))


def _glibc() -> tuple[str, tuple[int, int]] | None:
    try:
        answer = os.confstr("CS_GNU_LIBC_VERSION") or ""  # "glibc 2.36"
    except (AttributeError, OSError, ValueError):
        return None
    return _found(GLIBC, re.fullmatch(r"glibc (\d+)\.(\d+).*", answer))


def _musl(loaders: str) -> tuple[str, tuple[int, int]] | None:
    """As its dynamic loader says when it is started without a program (PEP 656)."""
    for loader in sorted(glob.glob(loaders)):
        try:
            result = subprocess.run([loader], capture_output=True, text=True, timeout=10, check=False)
        except (OSError, subprocess.TimeoutExpired):
            continue
        return _found(MUSL, re.search(r"^Version (\d+)\.(\d+)", result.stderr, re.MULTILINE))
    return None


def _found(libc: str, match: re.Match[str] | None) -> tuple[str, tuple[int, int]] | None:
    return (libc, (int(match.group(1)), int(match.group(2)))) if match else None
