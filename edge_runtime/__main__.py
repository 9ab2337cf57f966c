"""`python -m edge_runtime` is `edge-rnn`, whatever files lie in the working directory."""

import sys

from edge_runtime.host.search_path import keep_search_path, search_path

# python -m looks into the working directory first, where the user may keep a convert.py or a random.py.
sys.path[:] = search_path()
keep_search_path()

from edge_runtime.cli import main  # noqa: E402

main(prog_name="edge-rnn")
