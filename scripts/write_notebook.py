"""Writes examples/first_model.ipynb, with outputs, from first_model.md; `--check` only compares.

    EDGE_RNN_DATA=~/mnist python -m scripts.write_notebook

The notebook runs in an empty folder. Outputs that name a folder of this machine are refused. `--check`
compares the cells and runs nothing.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode, v4

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "examples" / "first_model.md"
NOTEBOOK = SOURCE.with_suffix(".ipynb")
KERNEL = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
CODE = re.compile(r"^```python\n(.*?)\n```$", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
MOST_BYTES = 300_000


def cells() -> list[NotebookNode]:
    """The source's cells: its Python blocks, and the text between them."""
    parts = CODE.split(COMMENT.sub("", SOURCE.read_text("utf-8")))
    made = [
        (v4.new_code_cell if number % 2 else v4.new_markdown_cell)(part.strip())
        for number, part in enumerate(parts)
        if part.strip()
    ]
    for number, cell in enumerate(made):
        cell.id = f"cell-{number}"  # nbformat's are random
    return made


def executed() -> NotebookNode:
    """The notebook with its outputs. Raises CellExecutionError when a cell fails."""
    notebook = v4.new_notebook(cells=cells(), metadata=KERNEL)
    with tempfile.TemporaryDirectory() as folder:
        place = {"metadata": {"path": folder}}
        NotebookClient(notebook, timeout=600, record_timing=False, resources=place).execute()
    notebook.metadata = nbformat.from_dict(KERNEL)  # without the version of this Python
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = tidy(cell.outputs)
    return notebook


def tidy(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """One output for all text, with plain line ends, and without standard error, which has messages of
    TensorFlow and of the engines about this machine."""
    text = "".join(item.text for item in outputs if item.get("name") == "stdout")
    printed = [v4.new_output("stream", text=text.replace("\r\n", "\n"))] if text else []
    return printed + [item for item in outputs if item.output_type != "stream"]


def main() -> str | None:
    """What is wrong, or None."""
    if "--check" in sys.argv:
        written = nbformat.read(NOTEBOOK, as_version=4).cells
        same = [(c.cell_type, c.source) for c in written] == [(c.cell_type, c.source) for c in cells()]
        return None if same else f"{NOTEBOOK}: out of date. Run python -m scripts.write_notebook."
    text = nbformat.writes(executed()) + "\n"
    places = (ROOT, Path.home(), Path(sys.prefix), Path(tempfile.gettempdir()))
    found = [str(place) for place in places if str(place) in text]
    if found or len(text) > MOST_BYTES:
        return f"{NOTEBOOK}: not written. It has {len(text):,} bytes, and names {found or 'no folder'}."
    NOTEBOOK.write_text(text, "utf-8")
    return None


if __name__ == "__main__":
    sys.exit(main())
