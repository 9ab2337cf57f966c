"""Why edge-rnn was installed without the library of the engine native.

scripts/compile_library.py, which runs while edge-rnn is installed, leaves a note beside the library.
"""

from __future__ import annotations

import json

from edge_runtime.native.library import library_path

NOTE = "build_note.json"


def build_failure() -> str | None:
    """A clause that says why the library was not compiled; None if it was, or if nothing is known."""
    try:
        failure = json.loads(library_path().with_name(NOTE).read_text("utf-8"))["failure"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return str(failure) if failure else None
