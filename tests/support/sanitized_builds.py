"""The native engine's library with sanitizers, and Python processes that load it.

There are two builds. WRAPPING is compiled with -fwrapv, as the library that is shipped. NOT_WRAPPING
stops where a signed sum overflows, too, which only a hostile plan may make happen.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, fields
from pathlib import Path

from edge_runtime.native.library import LIBRARY_VARIABLE
from scripts.compile_library import CompileError, Compiler, compile_library, find_compiler, library_name
from tests.support.commands import ROOT

CHECKS = (
    "-fsanitize=address,undefined,float-cast-overflow",
    "-fno-sanitize-recover=all",
    "-fno-omit-frame-pointer",
    "-g",
)

WRAPPING, NOT_WRAPPING = "wrapping", "not-wrapping"
WRAPS = {WRAPPING: "-fwrapv", NOT_WRAPPING: "-fno-wrapv"}

OPTIONS = ":".join(
    (
        "detect_leaks=0",  # Python itself does not free everything
        "allocator_may_return_null=1",  # a MemoryError, as without sanitizers
    )
)


@dataclass(frozen=True)
class _Sanitizing(Compiler):
    """A compiler whose last flags, which win, are these."""

    last: tuple[str, ...] = ()

    def compile(self, source: Path, flags, to: Path) -> None:
        super().compile(source, (*flags, *self.last), to)


def write_sanitized(folder: Path, build: str = WRAPPING) -> None:
    """Compile a build of WRAPS into the folder."""
    found = find_compiler()
    values = {field.name: getattr(found, field.name) for field in fields(found)}
    values["link_flags"] = (*found.link_flags, *CHECKS)
    # -O1: with -O3 and checks, the kernels of one set take minutes to compile.
    compiler = _Sanitizing(**values, last=("-O1", *CHECKS, WRAPS[build]))
    compile_library(folder, compiler, strict=True)


def has_sanitizers() -> bool:
    """Whether there is a compiler, with the library that a sanitized process loads first."""
    try:
        return Path(_runtime()).is_absolute()
    except CompileError:
        return False


def environment(folder: Path) -> dict[str, str]:
    """The environment of a Python process that loads the library in the folder."""
    return {
        **os.environ,
        LIBRARY_VARIABLE: str(folder / library_name()),
        "LD_PRELOAD": _runtime(),
        "ASAN_OPTIONS": OPTIONS,
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }


def run_module(module: str, *arguments: object, variables: dict[str, str]) -> str:
    """What `python -m module` prints. Raises AssertionError, with its last lines, when it fails."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    child = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=900)
    assert child.returncode == 0, f"ended with {child.returncode}\n{child.stderr[-4000:]}"
    return child.stdout


def _runtime() -> str:
    command = [*find_compiler().command, "-print-file-name=libasan.so"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
