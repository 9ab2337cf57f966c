"""Builds Keras models on request. Tests run it as a process, because they must not load TensorFlow.

Reads one JSON object per line: `steps`, `features`, `classes`, `seed`, `layers` (each with `cell`,
`units`, `bidirectional`, and `reset_after` for GRU) and `path`. Writes a pickle of (Network, windows,
logits) to `path` and answers with the line "done".
"""

from __future__ import annotations

import json
import os
import pickle
import sys

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras

from convert.readers.keras.read_model import network_from_keras

WINDOWS = 200


def layer_of(settings: dict, sequences: bool) -> keras.layers.Layer:
    extra = {"reset_after": settings["reset_after"]} if settings["cell"] == "GRU" else {}
    cell = getattr(keras.layers, settings["cell"])
    layer = cell(settings["units"], return_sequences=sequences, **extra)
    return keras.layers.Bidirectional(layer) if settings["bidirectional"] else layer


def answer(request: dict) -> None:
    keras.utils.set_random_seed(request["seed"])
    shape = (request["steps"], request["features"])
    last = len(request["layers"]) - 1
    layers = [layer_of(settings, k < last) for k, settings in enumerate(request["layers"])]
    model = keras.Sequential([keras.Input(shape), *layers, keras.layers.Dense(request["classes"])])
    rng = np.random.default_rng(request["seed"])
    windows = rng.normal(0, 1, (WINDOWS, *shape)).astype(np.float32)
    logits = np.asarray(model(windows))
    with open(request["path"], "wb") as file:
        pickle.dump((network_from_keras(model), windows, logits), file)


for line in sys.stdin:
    answer(json.loads(line))
    print("done", flush=True)
