"""Run as a process: `old_keras_child.py OUT.pkl WINDOWS.npz FILE...` reads models that Keras 2 saved.

Writes name of the file -> (network as it was read, reference logits), for the first 64 windows. A name
that ends in "=PREDICTIONS" is a whole model instead: its own outputs for the inputs x, x1, ... of that
.npz file.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import numpy as np

from convert.readers.keras.read_model import read_keras
from convert.readers.tensorflow.full_models import load_full_model

out, windows, *files = sys.argv[1:]
x = np.load(windows)["x"][:64].astype(np.float32)
result = {}
for name in files:
    file, _, data = name.partition("=")
    model = load_full_model(file)
    if data:
        result[Path(file).name] = np.asarray(model(np.load(data)["x"]))
    else:
        reading = read_keras(model)
        result[Path(file).name] = (reading.network, reading.logits(x))
Path(out).write_bytes(pickle.dumps(result))
