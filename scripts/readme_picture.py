"""Draws the README's picture, docs/session.svg: a terminal session of edge-rnn with its real output.

    python -m scripts.readme_picture

Runs the commands of SESSION in an empty folder, which takes about a minute, and draws what they print. A
long output is cut, which "..." shows. The picture loads no fonts, so the reader's own monospaced font is
used.
"""

from __future__ import annotations

import io
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

PICTURE = Path(__file__).parents[1] / "docs" / "session.svg"

SESSION = (
    ("train --data digits --preset demo --out runs/digits", slice(-1, None)),
    ("evaluate runs/digits", slice(1)),
    ("convert runs/digits --precision int8 --out digits-int8.tflite", slice(6)),
    ("verify digits-int8.tflite", slice(1)),
    ("predict digits-int8.tflite runs/digits/example.npy --top 3", slice(1)),
)
"""Commands, and which lines of each one's output are shown."""

COLUMNS = 100


def main() -> None:
    """Run the session and write the picture."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), highlight=False)
    with tempfile.TemporaryDirectory() as folder:
        for line, shown in SESSION:
            console.print(Text.assemble(("$ ", "bold green"), (f"edge-rnn {line}", "bold")))
            for text in shortened(output(line, folder), shown):
                console.print(Text(text), overflow="fold")
        console.print()  # the frame would cut off the descenders of the last line
    svg = console.export_svg(title="edge-rnn", theme=MONOKAI, unique_id="session")
    PICTURE.write_text(re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL), "utf-8")
    print(f"{PICTURE}: written, {PICTURE.stat().st_size:,} bytes")


def output(line: str, folder: str) -> list[str]:
    """The lines that `edge-rnn LINE` prints to standard output in `folder`."""
    command = [sys.executable, "-m", "edge_runtime", *shlex.split(line)]
    run = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
    return run.stdout.rstrip().splitlines()


def shortened(lines: list[str], shown: slice) -> list[str]:
    """The lines that `shown` selects, with "..." in place of those before and after them."""
    start, stop, _ = shown.indices(len(lines))
    return ["..."] * (start > 0) + lines[start:stop] + ["..."] * (stop < len(lines))


if __name__ == "__main__":
    main()
