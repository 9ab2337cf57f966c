"""The folder in which a training keeps its checkpoints until the run is complete: OUT.training."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from edge_runtime.errors import DataError, EdgeRnnError
from edge_runtime.runs.run_directory import SETTINGS_FILE
from train.fitting.checkpoint import CHECKPOINT, DivergedError

LOCK = "lock"

RUN = "run"
"""The folder in it that becomes the run directory. It is there until it has been moved into place."""


def training_folder(target: Path) -> Path:
    """The folder of the checkpoints for the run directory `target`."""
    return target.with_name(f"{target.name}.training")


def is_interrupted(target: Path) -> bool:
    """Whether a training of `target` left a checkpoint whose run is not in its place yet.

    The run directory at `target` is then an older one, which the training was to overwrite.
    """
    folder = training_folder(target)
    return (folder / CHECKPOINT).exists() and (folder / RUN).exists()


@contextlib.contextmanager
def working_folder(target: Path, *, overwrite: bool, resume: bool) -> Iterator[Path]:
    """The folder for the checkpoints of `target`, locked; gone when the block ends without an exception.

    After DivergedError it is gone too, as continuing would end in the same error. After anything else it
    stays if it holds a checkpoint. Raises DataError for a folder that another process uses, or that an
    interrupted training left, unless it is to be overwritten or continued.
    """
    folder = training_folder(target)
    if folder.exists():
        _check_left(folder, target, overwrite=overwrite, resume=resume)
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        if not resume:
            (folder / CHECKPOINT).unlink(missing_ok=True)
        try:
            yield folder
        except DivergedError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        except BaseException as error:
            _keep_or_delete(folder, tell=not isinstance(error, EdgeRnnError))
            raise
        shutil.rmtree(folder)


def _check_left(folder: Path, target: Path, *, overwrite: bool, resume: bool) -> None:
    if not (folder / CHECKPOINT).exists():
        if all(_is_ours(path.name) for path in folder.iterdir()):
            return
        raise DataError(f"{folder}: exists and is no folder of a training. Choose another --out.")
    if not overwrite and not resume:
        raise DataError(
            f"{folder}: holds the checkpoint of an interrupted training. Continue it with --resume, or "
            "pass --overwrite."
        )


def _is_ours(name: str) -> bool:
    """Whether a process that was killed before its first checkpoint may have left such a file."""
    halves = tuple(f".{whole}." for whole in (CHECKPOINT, SETTINGS_FILE))  # as atomic_file names them
    return name in (LOCK, SETTINGS_FILE, RUN) or name.startswith(halves)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with open(folder / LOCK, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DataError(
                f"{folder}: another process trains there. Wait for it, or choose another --out."
            ) from None
        yield


def _keep_or_delete(folder: Path, *, tell: bool) -> None:
    if not (folder / CHECKPOINT).exists():
        shutil.rmtree(folder, ignore_errors=True)
    elif tell:
        print(f"{folder}: holds what was trained so far. Continue it with --resume.", file=sys.stderr)
