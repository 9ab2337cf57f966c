"""Files and directories that appear complete or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path`, which replaces `path` when the block ends without an exception.

    The parent folder is created. After an exception the temporary file is gone and `path` is untouched.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=target.suffix, dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes private files; give the result the permissions of any new file.
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def move_into_place(new: Path, target: Path) -> None:
    """Put the directory `new` in place of an older one at `target`, which is deleted last."""
    if not target.exists():
        new.rename(target)
        return
    older = new.with_name(f"{new.name}.older")
    target.rename(older)
    new.rename(target)
    shutil.rmtree(older)
