"""Run as a process by the tests: `fake_quantized_child.py FOLDER...`.

Each FOLDER holds graph.npz (a recorded graph) and windows.npy. Moves the weights by a few steps of
fine-tuning towards other logits. Saves the new graph as tuned.npz, the logits of the Keras model's
evaluation as logits.npy, and the names of the matrices and biases that changed as moved.json.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from edge_runtime.runs.graph_record import GraphRecord
from train.finetuning.fake_quantization import build_fake_quantized, trainable_constants
from train.finetuning.finetune import Finetuning, _logits, _training_step
from train.fitting.fit import load_tensorflow

tf = load_tensorflow("the test")
for folder in map(Path, sys.argv[1:]):
    record, windows = GraphRecord.load(folder / "graph.npz"), np.load(folder / "windows.npy")
    model = build_fake_quantized(tf, record)
    wanted = tf.constant(-_logits(model, windows[:1]))
    settings = Finetuning(iterations=4, learning_rate=0.01)
    step = _training_step(tf, model, lambda mixed, training, wanted=wanted: wanted, settings)
    for _ in range(settings.iterations):
        step(tf.constant(windows[:32]))
    tuned = {name: model.constants[name].numpy() for name in trainable_constants(record)}
    moved = [name for name, values in tuned.items() if (values != record.constants[name]).any()]
    (folder / "moved.json").write_text(json.dumps(moved))
    replace(record, constants={**record.constants, **tuned}).save(folder / "tuned.npz")
    np.save(folder / "logits.npy", _logits(model, windows))
