"""Compares the training's forward pass with Keras's for many networks: prints the largest differences.

Usage: python forward_child.py < CASES, a JSON list of hyperparameters
"""

from __future__ import annotations

import json
import sys

import keras
import numpy as np
import tensorflow as tf

from train.fitting.forward import forward
from train.fitting.model import build_model
from train.hyperparameters import Hyperparameters

STEPS, FEATURES, CLASSES = 7, 3, 4


def differences(case: dict) -> tuple[float, float]:
    """Of the logits, and of the gradients of all weights."""
    model = build_model(keras, Hyperparameters(**case), steps=STEPS, features=FEATURES, classes=CLASSES)
    rng = np.random.default_rng(1)
    model.set_weights([rng.normal(0, 0.5, value.shape) for value in model.get_weights()])
    windows = tf.constant(rng.normal(0, 1, (6, STEPS, FEATURES)).astype(np.float32))
    variables = [variable.value for variable in model.trainable_variables]
    found = []
    for compute in (lambda: forward(tf, model, windows), lambda: model(windows, training=False)):
        with tf.GradientTape() as tape:
            logits = compute()
            loss = tf.reduce_sum(logits**2)
        found.append((logits.numpy(), [value.numpy() for value in tape.gradient(loss, variables)]))
    (ours, gradients), (theirs, expected) = found
    largest = max(np.abs(value).max() for value in expected)
    return (
        float(np.abs(ours - theirs).max()),
        float(max(np.abs(a - b).max() for a, b in zip(gradients, expected)) / largest),
    )


print(json.dumps([differences(case) for case in json.load(sys.stdin)]))
