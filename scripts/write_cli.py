"""Writes docs/reference/cli.md from the commands' own help; `--check` only compares."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from click.testing import CliRunner

from edge_runtime.cli import main

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "cli.md"


def page() -> str:
    """The page's text."""
    names = main.list_commands(click.Context(main))
    parts = ["# Command line\n\nWritten by `make docs` from the commands' own help.\n"]
    for arguments in ([], *([name] for name in names)):
        title = " ".join(["edge-rnn", *arguments])
        command = [*arguments, "--help"]
        options = {"prog_name": "edge-rnn", "terminal_width": 90}
        text = CliRunner().invoke(main, command, catch_exceptions=False, **options)
        parts.append(f"## {title}\n\n```\n{text.output.rstrip()}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(None if PAGE.read_text("utf-8") == page() else f"{PAGE}: out of date. Run make docs.")
    PAGE.write_text(page(), "utf-8")
