"""When, where and by what command a record was made."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from collections.abc import Iterable
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import edge_runtime
from convert.evidence.record import Identity
from edge_runtime.host.processor import read_processor, read_text, usable_cores

PROGRAMS = ("numpy", "scipy", "scikit-learn", "tensorflow", "onnxruntime", "torch")
"""Distributions that compute a part of a record, where they are installed."""

_CACHE = "sys/devices/system/cpu/cpu0/cache"
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def identify(command: str | None, engines: dict[str, str]) -> Identity:
    """This machine now. `command`: default: the running program's; `engines`: name -> version."""
    versions = {"edge-rnn": edge_runtime.__version__, "python": platform.python_version()}
    return Identity(
        made=_now(),
        command=_running_command() if command is None else command,
        versions={**versions, **_installed(PROGRAMS), **engines},
        platform=_system(),
        cpu=str(read_processor()),
        cores=usable_cores(),
        caches=read_caches(),
    )


def read_caches(root: str | Path = "/") -> dict[str, int]:
    """Cache -> bytes, such as L1d, L1i and L2, as Linux shows them for the first core.

    Empty where the system does not say. Source: Documentation/ABI/testing/sysfs-devices-system-cpu.
    """
    found = {}
    for index in sorted(Path(root, _CACHE).glob("index[0-9]*")):
        name = str(index.relative_to(root))
        level, kind, size = (
            read_text(root, f"{name}/{field}").strip() for field in ("level", "type", "size")
        )
        if level and size[:-1].isdecimal() and size[-1:] in _UNITS:
            suffix = {"Data": "d", "Instruction": "i"}.get(kind, "")
            found[f"L{level}{suffix}"] = int(size[:-1]) * _UNITS[size[-1]]
    return found


def _now() -> str:
    """The time in UTC. SOURCE_DATE_EPOCH replaces it, for records that can be made again bit for bit."""
    fixed = os.environ.get("SOURCE_DATE_EPOCH", "")
    moment = (
        datetime.fromtimestamp(int(fixed), timezone.utc)
        if fixed.isdecimal()
        else datetime.now(timezone.utc)
    )
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _system() -> str:
    """`Linux x86_64, glibc 2.36`"""
    library = " ".join(platform.libc_ver()).strip()
    name = f"{platform.system()} {platform.machine()}"
    return f"{name}, {library}" if library else name


def _running_command() -> str:
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])


def _installed(names: Iterable[str]) -> dict[str, str]:
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
