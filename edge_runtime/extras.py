"""Optional packages: imported when a command needs them, with one line that says how to get them."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from edge_runtime.errors import MissingExtraError


def import_extra(module: str, *, package: str, extra: str, what: str) -> Any:
    """The imported `module`; `package` and `extra` name what to install for `what` (a command).

    Raises MissingExtraError when the module is not installed. What a module's native code prints on
    standard error while it loads is dropped, unless the import fails.
    """
    try:
        with _quiet_stderr():
            return import_module(module)
    except ModuleNotFoundError as error:
        if error.name and module.split(".")[0] != error.name.split(".")[0]:
            raise
        raise MissingExtraError(what, package, extra) from None


@contextlib.contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Hold back file descriptor 2; on an exception, print what was held back."""
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        failed = True
        try:
            yield
            failed = False
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            if failed:
                held.seek(0)
                sys.stderr.write(held.read().decode("utf-8", "replace"))
