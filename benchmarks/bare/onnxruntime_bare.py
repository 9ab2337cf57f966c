"""The least that classifies one window with ONNX Runtime: MODEL WINDOW.npy."""

import sys

import numpy as np
import onnxruntime

window = np.load(sys.argv[2])[np.newaxis].astype(np.float32) / 255
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
print(session.run(None, {session.get_inputs()[0].name: window})[0][0].argmax(), flush=True)
