"""Facts about the Python that runs edge-rnn, and about the system as its pip sees it."""

from __future__ import annotations

import glob
import importlib.util
import os
import platform
import re
import struct
import subprocess
import sys
import sysconfig
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge_runtime.doctor.system import GLIBC, MUSL, System

NARROW = {"x86_64": "i686", "aarch64": "armv7l", "armv8l": "armv7l"}
"""Kernel -> the architecture of a 32-bit Python on it, whose wheels pip takes."""

MUSL_LOADERS = "/lib/ld-musl-*.so.1"


@dataclass(frozen=True)
class PythonFacts:
    """A Python."""

    implementation: str
    """CPython, PyPy, ..."""
    version: str
    bits: int
    """Bits of a pointer. A 64-bit kernel can run a 32-bit Python."""
    executable: str
    system: System
    has_pip: bool
    """Whether it has pip. Environments made by uv have none."""
    managed: bool
    """Whether pip installs nothing unless --break-system-packages says so (PEP 668)."""

    @property
    def narrow(self) -> bool:
        """Whether it is a 32-bit Python on a 64-bit kernel."""
        return self.bits == 32 and self.system.machine in NARROW

    def __str__(self) -> str:
        """One line."""
        libc = (
            self.system.libc and f", {self.system.libc} {'.'.join(map(str, self.system.libc_version))}"
        )
        return f"{self.implementation} {self.version}, {self.bits} bit{libc}, {self.executable}"

    def to_json(self) -> dict[str, Any]:
        """The fields, with the system as `--for` reads it."""
        return {**asdict(self), "system": str(self.system)}


def this_python() -> PythonFacts:
    """The Python of this process."""
    bits = 8 * struct.calcsize("P")
    return PythonFacts(
        implementation=platform.python_implementation(),
        version=platform.python_version(),
        bits=bits,
        executable=sys.executable,
        system=_system(bits),
        has_pip=importlib.util.find_spec("pip") is not None,
        managed=_managed(),
    )


def _system(bits: int) -> System:
    libc, libc_number = libc_version()
    machine = platform.machine()
    return System(
        python=sys.version_info[:2],
        architecture=NARROW.get(machine, machine) if bits == 32 else machine,
        libc=libc,
        libc_version=libc_number,
        abi=_abi(),
        machine=machine,
    )


def _abi() -> str:
    """The tag of wheels for another interpreter than the usual CPython; empty for CPython."""
    if platform.python_implementation() != "CPython":
        return platform.python_implementation().lower()
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return f"cp{sys.version_info[0]}{sys.version_info[1]}t"
    return ""


def _managed() -> bool:
    """Whether pip refuses to install: outside of an environment, in a Python that the system manages
    (PEP 668), as in Debian and its derivatives."""
    mark = Path(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED")
    return sys.prefix == sys.base_prefix and mark.exists()


def libc_version() -> tuple[str, tuple[int, int]]:
    """(GLIBC or MUSL, its version), or ("", (0, 0)) on systems with neither."""
    return _glibc() or _musl(MUSL_LOADERS) or ("", (0, 0))


def _glibc() -> tuple[str, tuple[int, int]] | None:
    try:
        answer = os.confstr("CS_GNU_LIBC_VERSION") or ""  # "glibc 2.36"
    except (AttributeError, OSError, ValueError):
        return None
    return _found(GLIBC, re.fullmatch(r"glibc (\d+)\.(\d+).*", answer))


def _musl(loaders: str) -> tuple[str, tuple[int, int]] | None:
    """What the dynamic loader of musl prints when it is started without a program (PEP 656)."""
    for loader in sorted(glob.glob(loaders)):
        try:
            result = subprocess.run([loader], capture_output=True, text=True, timeout=10, check=False)
        except (OSError, subprocess.TimeoutExpired):
            continue
        return _found(MUSL, re.search(r"^Version (\d+)\.(\d+)", result.stderr, re.MULTILINE))
    return None


def _found(libc: str, match: re.Match[str] | None) -> tuple[str, tuple[int, int]] | None:
    return (libc, (int(match.group(1)), int(match.group(2)))) if match else None
