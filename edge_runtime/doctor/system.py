"""A system that packages are installed on, as pip sees it: Python, architecture and C library."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edge_runtime.errors import InputError

ARCHITECTURES = ("x86_64", "aarch64", "armv7l", "armv6l", "i686")
"""As the names of wheels spell them."""

GLIBC, MUSL = "glibc", "musl"

KNOWN = {
    "raspios-trixie-64": "python3.13-aarch64-glibc2.41",
    "raspios-trixie-32": "python3.13-armv7l-glibc2.41",
    "raspios-bookworm-64": "python3.11-aarch64-glibc2.36",
    "raspios-bookworm-32": "python3.11-armv7l-glibc2.36",
    "raspios-bullseye-64": "python3.9-aarch64-glibc2.31",
    "raspios-bullseye-32": "python3.9-armv7l-glibc2.31",
}
"""Raspberry Pi OS, with the Python and the glibc of the Debian it is made from; 32 bit: on a Pi 2 and
newer, as older ones and the Pi Zero are armv6l."""

_FORM = re.compile(rf"python(\d+)\.(\d+)-({'|'.join(ARCHITECTURES)})-({GLIBC}|{MUSL})(\d+)\.(\d+)")


@dataclass(frozen=True)
class System:
    """The facts that decide which wheels pip takes."""

    python: tuple[int, int]
    architecture: str
    """Architecture of Python itself: a 32-bit Python on a 64-bit kernel takes 32-bit wheels."""
    libc: str
    """GLIBC, MUSL, or "" on systems that are not Linux."""
    libc_version: tuple[int, int]
    abi: str = ""
    """The tag of the interpreter; empty for CPython with its lock, whose tag is cp and the version."""
    machine: str = ""
    """What `platform.machine()` returns, if that is not the architecture."""

    @property
    def tag(self) -> str:
        """The interpreter in the names of wheels, e.g. cp311."""
        return self.abi or f"cp{self.python[0]}{self.python[1]}"

    def __str__(self) -> str:
        """As `parse_system` reads it, e.g. python3.12-aarch64-glibc2.36."""
        libc = f"{self.libc}{_dotted(self.libc_version)}" if self.libc else "no Linux"
        return f"python{_dotted(self.python)}-{self.architecture}-{libc}"


def parse_system(text: str) -> System:
    """The system that `text` names: pythonX.Y-ARCHITECTURE-glibcA.B or -muslA.B, or one of KNOWN.

    Raises InputError with the grammar for anything else.
    """
    match = _FORM.fullmatch(KNOWN.get(text, text))
    if match is None:
        raise InputError(
            f"--for: unknown system {text!r}. Expected pythonX.Y-ARCHITECTURE-glibcA.B or -muslA.B, "
            f"e.g. python3.12-aarch64-glibc2.36, with the architecture {', '.join(ARCHITECTURES[:-1])} "
            f"or {ARCHITECTURES[-1]}, or one of {', '.join(KNOWN)}."
        )
    major, minor, architecture, libc, *version = match.groups()
    return System((int(major), int(minor)), architecture, libc, (int(version[0]), int(version[1])))


def _dotted(numbers: tuple[int, int]) -> str:
    return ".".join(map(str, numbers))
