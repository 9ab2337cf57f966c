"""Shows what the mutations came to at the end of the test run."""

from __future__ import annotations

import pytest

from tests.fuzz.campaign import Counts, table

COUNTS = pytest.StashKey[list[Counts]]()


def pytest_terminal_summary(terminalreporter, config):
    counts = config.stash.get(COUNTS, None)
    if counts:
        terminalreporter.section("mutated files")
        terminalreporter.write_line(table(counts))
