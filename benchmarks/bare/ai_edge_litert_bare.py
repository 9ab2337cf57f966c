"""The least that classifies one window with ai-edge-litert: MODEL WINDOW.npy."""

import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter

window = np.load(sys.argv[2])[np.newaxis].astype(np.float32) / 255
interpreter = Interpreter(sys.argv[1])
interpreter.allocate_tensors()
source, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
if source["dtype"] == np.int8:
    scale, zero_point = source["quantization"]
    window = np.clip(np.rint(window / scale) + zero_point, -128, 127).astype(np.int8)
interpreter.set_tensor(source["index"], window)
interpreter.invoke()
print(interpreter.get_tensor(result["index"])[0].argmax(), flush=True)
