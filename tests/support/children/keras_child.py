"""Run as a process by conftest: `keras_child.py RUN OUT.npz`.

Saves the Keras model's logits on the test split, and its weights as source_model.network has them.
"""

from __future__ import annotations

import sys

import numpy as np

from convert.readers.keras.read_model import network_from_keras
from convert.readers.tensorflow.full_models import full_logits, load_full_model
from edge_runtime.runs.run_directory import Run

run = Run.open(sys.argv[1])
model = load_full_model(run.model)
lstm, dense = network_from_keras(model).layers
np.savez(
    sys.argv[2],
    logits=full_logits(model, run.record.normalization.apply(run.test_windows().x)),
    kernel=lstm.kernel,
    recurrent_kernel=lstm.recurrent_kernel,
    bias=lstm.bias,
    dense_kernel=dense.kernel,
    dense_bias=dense.bias,
)
