"""Logits of many windows from one engine, in a process of its own.

    python -m edge_runtime.inference.worker MODEL WINDOWS.npy LOGITS.npy --engine NAME [--kernels KIND] \
        [--by-row]

The converter's proof runs each engine this way: an engine that crashes is then a finding, not the end
of the converter, and the proof exercises the very code that runs on the device. A failure is printed
as one line on standard error, exit code 2.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import numpy as np

from edge_runtime.engines.engine import ENGINES, MICRO_ENGINES, NATIVE, NATIVE_KERNELS, RESOLVERS
from edge_runtime.errors import EdgeRnnError
from edge_runtime.inference.predictor import Predictor


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, classify, save float32 logits; returns the exit code.

    The logits are `[N, classes]`, with --by-row `[N, steps, classes]`: those after every row.
    """
    parser = argparse.ArgumentParser(prog="python -m edge_runtime.inference.worker")
    parser.add_argument("model")
    parser.add_argument("windows", help=".npy with raw windows [N, steps, features]")
    parser.add_argument("logits", help=".npy to write")
    parser.add_argument("--engine", choices=[NATIVE, *ENGINES, *MICRO_ENGINES], required=True)
    parser.add_argument("--kernels", choices=[*RESOLVERS, *NATIVE_KERNELS], default="default")
    parser.add_argument("--by-row", action="store_true", help="of a step file, after every row")
    options = parser.parse_args(arguments)
    try:
        windows = np.load(options.windows, allow_pickle=False)
        predictor = Predictor[Any](options.model, engine=options.engine, kernels=options.kernels)
        logits = predictor.outputs_by_row if options.by_row else predictor.outputs
        np.save(options.logits, logits(windows))
    except EdgeRnnError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
