"""The C library with address and undefined-behaviour sanitizers, for the tests that run it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from edge_runtime.native.library import LIBRARY_VARIABLE
from scripts.compile_library import Compiler, compile_library, find_compiler, sanitized
from tests.support.made_once import made_once


def sanitized_library(shared: Path) -> dict[str, str]:
    """The environment variables with which Python loads the library, compiled once for all processes.

    A wrong access then ends the process with a message and the exit status 1. Leaks are not looked for:
    the library allocates nothing, and Python keeps memory. Skips the test without the sanitizers.
    """
    compiler = find_compiler()
    runtime = _runtime(compiler)
    if not runtime.is_absolute():
        pytest.skip("the C compiler has no libasan.so")
    folder = made_once(
        shared / "sanitized-library", lambda folder: compile_library(folder, sanitized(compiler))
    )
    return {
        LIBRARY_VARIABLE: str(folder / compiler.library_name),
        "LD_PRELOAD": str(runtime),
        "ASAN_OPTIONS": "detect_leaks=0",
    }


def _runtime(compiler: Compiler) -> Path:
    """The sanitizer's library, which has to be loaded first. Its bare name if it is missing."""
    command = [*compiler.command, "-print-file-name=libasan.so"]
    return Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
