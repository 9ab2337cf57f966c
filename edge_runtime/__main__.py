"""`python -m edge_runtime` is `edge-rnn`."""

from edge_runtime.cli import main

main(prog_name="edge-rnn")
