"""Folders that are made once and kept in the user's cache folder, or in $EDGE_RNN_CACHE."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path


def cached_folder(name: str, content: Iterable[str], make: Callable[[Path], None]) -> Path:
    """The folder `name`, made by `make` when it is missing. It appears whole or not at all.

    `content`: everything that decides what is in the folder, such as versions. Other content gives
    another folder.
    """
    digest = hashlib.sha256("\n".join(content).encode()).hexdigest()[:8]
    folder = _cache() / f"{name}-{digest}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            made = Path(temporary, name)
            make(made)
            made.rename(folder)
    return folder


def _cache() -> Path:
    cache = os.environ.get("EDGE_RNN_CACHE")
    if cache:
        return Path(cache).absolute()
    import platformdirs

    return Path(platformdirs.user_cache_dir("edge-rnn"))
