"""A Keras model of one's own: save it, convert it with `convert_model`, predict.

    python examples/keras_model.py

The model is one that `edge-rnn train` does not make: a convolution, then a bidirectional GRU. The
example trains it on the windows of a made-up accelerometer, saves it, and converts the file. It prints
the proof of the conversion and the class of one window, and takes about 20 seconds. Everything is
written to the folder keras-model in the working directory, or to the one that --out names.

The prediction runs in a second process, as it does on a device. This process has loaded TensorFlow, and
tflite-runtime 2.14 fails in a process that has. TensorFlow's messages about the machine go to standard
error; TF_CPP_MIN_LOG_LEVEL=3 in the environment hides most of them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras
import numpy as np
from keras import layers

from accelerometer import LABELS, STEPS, windows
from command import edge_rnn
from convert import convert_model


def build(x: np.ndarray) -> keras.Model:
    """Return a model that takes raw windows: the normalization, measured on `x`, is its first layer."""
    normalization = layers.Normalization()
    normalization.adapt(x)
    return keras.Sequential(
        [
            keras.Input((STEPS, 3)),
            normalization,
            layers.Conv1D(12, 3, padding="causal", activation="relu"),
            layers.Bidirectional(layers.GRU(16)),
            layers.Dropout(0.2),
            layers.Dense(len(LABELS), activation="softmax"),
        ]
    )


def main() -> None:
    """Train, save, convert and predict in one folder."""
    parser = argparse.ArgumentParser(description="Convert a Keras model of one's own.")
    parser.add_argument("--out", type=Path, default=Path("keras-model"), help="folder to write")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)

    keras.utils.set_random_seed(0)
    x, y = windows(2000, seed=0)
    test_x, test_y = windows(1500, seed=1)
    model = build(x)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=32, epochs=8, verbose=2)
    model.save(out / "activity.keras")

    # The training windows calibrate the quantization, the test windows prove it.
    conversion = convert_model(
        out / "activity.keras",
        {"calibration_x": x, "calibration_y": y, "test_x": test_x, "test_y": test_y},
        out / "activity-mixed.tflite",
        precision="mixed",
        labels=LABELS,
        calibration_samples=500,
        min_agreement=0.995,
    )
    print(f"\n{conversion}")

    np.save(out / "window.npy", test_x[0])
    print(f"\n{out / 'window.npy'}: {LABELS[test_y[0]]}")
    edge_rnn("predict", out / "activity-mixed.tflite", out / "window.npy", "--top", 2)


if __name__ == "__main__":
    main()
