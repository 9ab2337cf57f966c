"""`python -m edge_runtime` is `edge-rnn`, whatever files lie in the working directory."""

import sys

from edge_runtime.host.search_path import search_path

# python -m looks into the working directory first, where the user may keep a convert.py or a random.py.
sys.path[:] = search_path()

from edge_runtime.cli import main  # noqa: E402

main(prog_name="edge-rnn")
