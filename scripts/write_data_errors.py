"""Writes docs/reference/data-errors.md from the tests of broken data sets; `--check` only compares.

The tests compare each sentence with what the readers say: tests/unit/test_recordings.py,
test_ts_file.py, test_edge_impulse.py and test_data_guide.py.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from tests.support.broken_recordings import JSON_CASES, TS_CASES
from tests.support.broken_splits import SPLIT_CASES
from tests.support.broken_tables import CASES, Broken

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "data-errors.md"

START = """# Errors of data sets

Written by `make docs` from the tests. Each line is a broken data set in the folder DATA, and what
`edge-rnn train` says about it. The exit code is 2. [Recordings](../guides/data.md) tells what is
expected.
"""


def page() -> str:
    """The page's text."""
    parts = [START]
    for title, cases in (
        ("Tables and folders", CASES),
        ("Edge Impulse's JSON", JSON_CASES),
        (".ts files", TS_CASES),
        ("Windows and splits", SPLIT_CASES),
    ):
        parts.append(f"## {title}\n\n{_table(cases)}\n")
    return "\n".join(parts)


def _table(cases: Iterable[Broken]) -> str:
    rows = [f"| {case.name} | {_code(case.sentence)} |" for case in cases]
    return "\n".join(["| what is wrong | message |", "| --- | --- |", *rows])


def _code(text: str) -> str:
    """`text` as code in a cell of a table."""
    return f"`{text}`".replace("|", "\\|")


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(None if PAGE.read_text("utf-8") == page() else f"{PAGE}: out of date. Run make docs.")
    PAGE.write_text(page(), "utf-8")
