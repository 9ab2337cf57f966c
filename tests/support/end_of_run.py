"""Shows tables at the end of the run, whichever process of pytest-xdist made them."""

from __future__ import annotations

import pytest

Tables = dict[str, str]

TABLES = pytest.StashKey[Tables]()
SENT = "edge_rnn_tables"


def show_at_end(config: pytest.Config, title: str, text: str) -> None:
    """Show `text` under `title`. A later text replaces it."""
    config.stash.setdefault(TABLES, {})[title] = text


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker sends its tables to the process that started it."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput[SENT] = session.config.stash.get(TABLES, {})


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node) -> None:
    """A worker has ended."""
    for title, text in getattr(node, "workeroutput", {}).get(SENT, {}).items():
        show_at_end(node.config, title, text)


def pytest_terminal_summary(terminalreporter, config: pytest.Config) -> None:
    for title, text in sorted(config.stash.get(TABLES, {}).items()):
        terminalreporter.section(title)
        terminalreporter.write_line(text)
