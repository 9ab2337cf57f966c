"""Run as a process by the tests: `finetuned_child.py RUN OUT.npy`.

Saves the logits that the Keras model with fake quantization gives for RUN's test split.
"""

from __future__ import annotations

import sys

import numpy as np

from edge_runtime.runs.run_directory import Run
from train.finetuning.fake_quantization import build_fake_quantized
from train.fitting.fit import load_tensorflow

run = Run.open(sys.argv[1])
model = build_fake_quantized(load_tensorflow("the test"), run.finetuned_graph())
windows = run.record.normalization.apply(run.test_windows().x)
np.save(sys.argv[2], model.predict(windows, batch_size=500, verbose=0))
