"""Which of the processes that share a folder still live, where no database watches over them.

A process holds a lock on a file of its own (flock, which NFS passes on to the server). The system lets
go of the lock when the process ends, however it ends. A lock that anybody can take belongs to a dead
process. No clocks are compared.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

WORKERS = "workers"
LOCK_ENDING = ".lock"


@dataclass(frozen=True)
class Worker:
    """This process among those that share `folder`."""

    name: str
    folder: Path
    """The folder of all workers."""

    @property
    def scratch(self) -> Path:
        """A folder for this process's temporary files. Whoever finds the process dead deletes it."""
        return self.folder / self.name

    def lives(self, other: str) -> bool:
        """Whether the process with that name still runs."""
        return other == self.name or _is_locked(self.folder / (other + LOCK_ENDING))


@contextlib.contextmanager
def join_workers(folder: Path) -> Iterator[Worker]:
    """This process as a worker in `folder`, until the block ends. What dead ones left is deleted."""
    workers = folder / WORKERS
    workers.mkdir(parents=True, exist_ok=True)
    _clean(workers)
    worker = Worker(uuid.uuid4().hex[:12], workers)
    path = workers / (worker.name + LOCK_ENDING)
    descriptor = _locked(path)
    try:
        worker.scratch.mkdir()
        yield worker
    finally:
        shutil.rmtree(worker.scratch, ignore_errors=True)
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _locked(path: Path) -> int:
    """A descriptor that holds the lock of a new file."""
    while True:
        # For writing: NFS makes a byte-range lock of flock, which needs that.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        os.close(descriptor)  # another process came in between and took the new file for a dead one's


def _is_locked(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _clean(workers: Path) -> None:
    for path in workers.glob(f"*{LOCK_ENDING}"):
        if not _is_locked(path):
            shutil.rmtree(path.with_suffix(""), ignore_errors=True)
            path.unlink(missing_ok=True)
