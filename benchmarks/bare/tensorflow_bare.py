"""The least that classifies one window with TensorFlow: MODEL.keras WINDOW.npy."""

import sys

import numpy as np
import tensorflow as tf

window = np.load(sys.argv[2])[np.newaxis].astype(np.float32) / 255
model = tf.keras.models.load_model(sys.argv[1], compile=False)
print(model(window).numpy()[0].argmax(), flush=True)
