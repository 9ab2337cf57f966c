"""Records in JSON files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from convert.evidence.record import Evidence
from edge_runtime.errors import DataError, reason
from edge_runtime.host.atomic_file import replacing

WIDTH = 110
"""Width at which lists of numbers are wrapped, so that a record in git has a readable difference."""

INDENT = 1


def read_evidence(path: str | Path) -> Evidence:
    """The record in the JSON file `path`. Raises DataError naming the file."""
    try:
        return Evidence.from_json(json.loads(Path(path).read_text("utf-8")))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}). Name a file of --json.") from None
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{path}: not a record that can be read ({reason(error)}). Write it again with "
            "'edge-rnn parity --json'."
        ) from None


def write_evidence(evidence: Evidence, path: str | Path) -> None:
    """Write the record as JSON. The file appears whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json_text(evidence.to_json()) + "\n", "utf-8")


def json_text(value: Any, indent: int = 0) -> str:
    """Indented JSON with lists of numbers and strings in few lines, not one line for each item."""
    inner, outer = " " * (indent + INDENT), " " * indent
    if isinstance(value, dict) and value:
        items = [
            f"{inner}{json.dumps(key)}: {json_text(item, indent + 1)}" for key, item in value.items()
        ]
        return "{\n" + ",\n".join(items) + f"\n{outer}}}"
    if isinstance(value, list) and value:
        if any(isinstance(item, (dict, list)) for item in value):
            items = [f"{inner}{json_text(item, indent + 1)}" for item in value]
            return "[\n" + ",\n".join(items) + f"\n{outer}]"
        return _wrapped([json.dumps(item) for item in value], inner, outer)
    return json.dumps(value)


def _wrapped(items: list[str], inner: str, outer: str) -> str:
    """`[1, 2, 3]`, or several lines of at most WIDTH characters."""
    single = f"[{', '.join(items)}]"
    if len(single) + len(outer) <= WIDTH:
        return single
    lines, line = [], ""
    for item in items:
        if line and len(inner) + len(line) + len(item) + 2 > WIDTH:
            lines.append(line)
            line = ""
        line += f"{item}, "
    joined = "".join(f"{inner}{part.rstrip()}\n" for part in (*lines, line.removesuffix(", ")))
    return f"[\n{joined}{outer}]"
