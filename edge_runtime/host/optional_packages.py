"""Optional packages: imported when a command needs them, with an error that says how to install them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from edge_runtime.errors import MissingExtraError


@contextlib.contextmanager
def needs_extra(extra: str, package: str, what: str) -> Iterator[None]:
    """Around an import: a module that is not installed becomes MissingExtraError.

    `extra` and `package` name what to install for `what`, a command or a kind of input.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtraError(what, package, extra) from error
