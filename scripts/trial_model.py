"""Writes edge_runtime/doctor/trial.tflite, the model with which `edge-rnn doctor` tries an engine.

    python -m scripts.trial_model

The model is an LSTM with random weights in `mixed`. This precision has integer and float operators, so
XNNPACK takes some of them in every engine that has it. The model is proven in all installed engines, and
has probes like any file. Run this script when the format of model files changes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from convert.compiler.float_graph.unroll import unroll
from convert.options import ConversionOptions
from convert.pipeline import convert_source
from convert.source_model.network import Dense, Lstm, Network
from convert.source_model.source_model import SourceModel
from edge_runtime.model_file.normalization import Normalization
from edge_runtime.numpy_engine.interpret import run
from edge_runtime.runs.labelled_windows import LabelledWindows

ROOT = Path(__file__).parents[1]

FILE = ROOT / "edge_runtime" / "doctor" / "trial.tflite"
STEPS, FEATURES, UNITS, CLASSES = 2, 3, 4, 2
WINDOWS = 4000


def main() -> None:
    """Convert, prove and write."""
    options = ConversionOptions(strip=True)
    conversion = convert_source(random_source(), FILE, precision="mixed", options=options)
    print(conversion)
    sys.exit(not conversion.report)


def random_source() -> SourceModel:
    """An LSTM with normal weights, to be compared with its own float graph on clear windows."""
    rng = np.random.default_rng(0)

    def weights(*shape: int) -> np.ndarray:
        return rng.normal(0, 0.5, shape).astype(np.float32)

    lstm = Lstm("lstm", weights(4 * UNITS, FEATURES), weights(4 * UNITS, UNITS), weights(4 * UNITS))
    dense = Dense("logits", weights(CLASSES, UNITS), weights(CLASSES))
    network = Network(STEPS, FEATURES, (lstm, dense))
    windows = 2 * weights(WINDOWS, STEPS, FEATURES)
    calibration, held_out = np.split(windows, 2)
    logits = run(unroll(network), held_out).astype(np.float32)
    lead = abs(logits[:, 0] - logits[:, 1])
    decided = lead >= np.median(lead)  # a random network leaves many windows between its classes
    return SourceModel(
        network=network,
        labels=tuple("ab"),
        normalization=Normalization((0.0,), (1.0,)),
        calibration=calibration,
        held_out=LabelledWindows(held_out[decided], logits[decided].argmax(axis=1)),
        split="random windows",
        logits=logits[decided],
        origin={},
        tools={},
        labelled=False,
    )


if __name__ == "__main__":
    main()
