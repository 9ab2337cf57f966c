"""Saves a model in TensorFlow 1's way: `tf1_checkpoint.py PREFIX OUT.npz [second]`.

Runs in a process of its own. The graph is the tutorial's (BasicLSTMCell of tf_keras, static_rnn, unnamed
W and b, Adam, a counter). OUT.npz gets windows x, their classes y, and the session's own logits.
`second` adds another matrix that could be the dense layer's.
"""

from __future__ import annotations

import os
import sys

import numpy as np

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import tensorflow.compat.v1 as tf

STEPS, FEATURES, UNITS, CLASSES = 12, 5, 16, 3


def patterns(count):
    """Noisy waves of one of three frequencies."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, CLASSES, count)
    t = np.arange(STEPS)[:, None] + np.arange(FEATURES)
    x = np.sin(t * (0.4 + 0.5 * y[:, None, None])) + rng.normal(0, 0.2, (count, STEPS, FEATURES))
    return x.astype(np.float32), y


def static_rnn(cell, rows):
    """As in TensorFlow 1 (rnn.py), whose scope gives the variables their names."""
    with tf.variable_scope("rnn"):
        state = cell.zero_state(tf.shape(rows[0])[0], tf.float32)
        for row in rows:
            output, state = cell(row, state)
    return output


def main(prefix, out, second):
    tf.disable_eager_execution()
    tf.set_random_seed(0)
    x = tf.placeholder(tf.float32, [None, STEPS, FEATURES])
    y = tf.placeholder(tf.int64, [None])
    w = tf.Variable(tf.truncated_normal([UNITS, CLASSES], stddev=0.1))
    b = tf.Variable(tf.constant(0.1, shape=[CLASSES]))
    if second:
        tf.Variable(tf.zeros([UNITS, CLASSES]))
    cell = tf.nn.rnn_cell.BasicLSTMCell(UNITS, forget_bias=1.0)
    logits = tf.matmul(static_rnn(cell, tf.unstack(x, STEPS, 1)), w) + b
    loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits))
    step = tf.Variable(0, trainable=False)
    train = tf.train.AdamOptimizer(0.01).minimize(loss, step)
    windows, classes = patterns(1600)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for _ in range(60):
            session.run(train, {x: windows[:200], y: classes[:200]})
        tf.train.Saver().save(session, prefix)
        np.savez(out, x=windows, y=classes, logits=session.run(logits, {x: windows}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], second=sys.argv[3:] == ["second"])
