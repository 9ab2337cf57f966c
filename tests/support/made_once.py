"""Folders that several test processes share, and those that outlive a test run."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterable
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Callable

from filelock import FileLock


def made_once(folder: Path, make: Callable[[Path], object]) -> Path:
    """`folder`, filled by `make` in the first process that asks for it; the others wait for it.

    The remains of an attempt that failed are deleted before the next one.
    """
    complete = folder.with_name(f"{folder.name}.complete")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not complete.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            complete.touch()
    return folder


def cache_folder() -> Path:
    """The folder that outlives test runs: $EDGE_RNN_TEST_CACHE, or edge-rnn-tests in the cache."""
    given = os.environ.get("EDGE_RNN_TEST_CACHE")
    return Path(given).absolute() if given else Path.home() / ".cache" / "edge-rnn-tests"


def training_digest(sources: Iterable[Path], *facts: str) -> str:
    """All that decides the weights of a training: the sources, `facts`, the libraries and the CPU."""
    digest = sha256()
    for path in sorted(sources):
        digest.update(f"{path.name}\n".encode())
        digest.update(path.read_bytes())
    versions = [f"{name} {version(name)}" for name in ("tensorflow", "keras", "numpy", "scikit-learn")]
    for fact in (*facts, *versions, platform.python_version(), cpu_model(), str(os.cpu_count())):
        digest.update(f"{fact}\n".encode())
    return digest.hexdigest()[:16]


def cpu_model() -> str:
    """The name and features of the CPU, by which libraries choose their kernels."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    wanted = ("model name", "flags", "Features", "CPU part")
    found = {line.partition(":")[0].strip(): line for line in reversed(lines)}
    return "\n".join(found[name] for name in wanted if name in found) or platform.processor()
