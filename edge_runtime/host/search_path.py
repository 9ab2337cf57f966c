"""Where this process looks for modules, without the folder that Python put in front for the user.

Imports nothing but `os` and `sys`, which Python has loaded before any other code runs. Until
`search_path` is applied, a `contextlib.py` or a `random.py` of the user's would be found first.
"""

from __future__ import annotations

import os
import sys

HOME = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
"""The folder that holds this edge_runtime: site-packages, or a clone."""

_kept = False


def search_path() -> list[str]:
    """`sys.path` without the working directory and without the folder of the script that runs.

    Python puts one of them first (docs.python.org/3/library/sys.html#sys.path), so that a file
    `random.py`, `numpy.py` or `convert.py` there takes the place of the module of that name. The folder
    stays when PYTHONPATH names it, as it then occurs a second time, and when edge_runtime itself comes
    from it. After `keep_search_path` it is `sys.path` itself.
    """
    if not _kept and sys.path and sys.path[0] in _put_in_front() and sys.path[0] != HOME:
        return sys.path[1:]
    return list(sys.path)


def keep_search_path() -> None:
    """Declare that `sys.path` is a `search_path` already, so that nothing more is taken out of it.

    Without this, a working directory that PYTHONPATH names would be taken out the second time.
    """
    global _kept
    _kept = True


def _put_in_front() -> set[str]:
    """What Python may have put first: "" for an interactive session or `-c`, else an absolute path."""
    if getattr(sys.flags, "safe_path", False):  # Python 3.11 and later, with -P or -I
        return set()
    folders = {""}
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    if script:
        folders.add(os.path.dirname(os.path.realpath(script)))
    try:  # noqa: SIM105 - contextlib could be a file of the user's
        folders.add(os.getcwd())
    except FileNotFoundError:  # the working directory was deleted
        pass
    return folders
