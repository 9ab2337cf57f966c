"""The smallest arena for a model file in TFLM, found in a process of its own.

    python -m edge_runtime.engines.arena_child MODEL

Prints the number of bytes. A failure is one line on standard error, with exit code 2. The converter runs
this in the environment that has tflite-micro (convert.proof.arena).
"""

from __future__ import annotations

import sys

from edge_runtime.engines.micro import smallest_arena
from edge_runtime.errors import EdgeRnnError
from edge_runtime.model_file.read_file import read_model


def main(model: str) -> int:
    """Measure and print; returns the exit code."""
    try:
        flatbuffer, _ = read_model(model)
        print(smallest_arena(flatbuffer))
    except (EdgeRnnError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return error.exit_code if isinstance(error, EdgeRnnError) else 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
