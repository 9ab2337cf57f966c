"""One way to train the canonical model in a process of its own, timed on request; training.py starts it.

    python -m benchmarks.training_child '{"way": "edge-rnn", "threads": 2}'

Prints in a line of JSON how this way is run. Then answers {"ask": "step", "steps": 20} with the
nanoseconds of one step, the mean of so many.

Every way starts from the same random uint8 windows in memory and takes its batches by position. PyTorch
finds them normalized beforehand; Keras and edge-rnn shift each batch or window by up to 2, as they train
on images.
"""

from __future__ import annotations

import sys
import time
from typing import Any, Callable

import numpy as np

from edge_runtime.bench.child import Opened, serve
from edge_runtime.errors import EngineError, reason
from edge_runtime.model_file.normalization import Normalization
from edge_runtime.runs.labelled_windows import LabelledWindows

BATCH, STEPS, FEATURES, UNITS, CLASSES = 128, 28, 28, 128, 10
WINDOWS = 12_800
RATE = 0.001
CLIP_NORM = 1.0
WARM_UP = 40
TRIALS = 3
"""Trials, of WARM_UP steps each, by which PyTorch's fastest configuration is chosen."""

Steps = Callable[[int], Any]
"""Takes that many steps. May return how many nanoseconds they took, without what goes before them."""


def opened(config: dict[str, Any]) -> Opened:
    """Start the way and warm it up."""
    try:
        name, take = WAYS[config["way"]](config["threads"])
    except (ImportError, RuntimeError) as error:
        raise EngineError(reason(error)) from error
    take(WARM_UP)
    return {"name": name}, {"step": lambda steps: step_time(take, steps)}


def step_time(take: Steps, steps: int) -> float:
    """Nanoseconds of one step."""
    take(WARM_UP // 4)  # another process has used the cores and their caches
    start = time.perf_counter_ns()
    taken = take(steps)
    return (taken or time.perf_counter_ns() - start) / steps


def random_windows() -> tuple[LabelledWindows, Normalization]:
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (WINDOWS, STEPS, FEATURES), np.uint8)
    windows = LabelledWindows(x, random.integers(0, CLASSES, WINDOWS))
    return windows, Normalization(mean=(127.5,), std=(73.9,), dtype="uint8")


def edge_rnn(threads: int) -> tuple[str, Steps]:
    """The step of edge-rnn train, with its batches and the shift of images."""
    from train.fitting.batches import batch_positions
    from train.fitting.fit import load_tensorflow
    from train.fitting.loop import make_optimizer
    from train.fitting.model import build_model
    from train.fitting.recurrent import share_cores
    from train.fitting.training_step import training_step
    from train.hyperparameters import Hyperparameters

    tf = load_tensorflow("benchmarks.training")
    share_cores(tf)
    tf.config.experimental.enable_op_determinism()
    chosen = Hyperparameters(learning_rate=RATE, schedule="constant", shift=2)
    model = build_model(tf.keras, chosen, steps=STEPS, features=FEATURES, classes=CLASSES)
    optimizer = make_optimizer(tf.keras, chosen, chosen.iterations)
    optimizer.build(model.trainable_variables)
    strategy = tf.distribute.get_strategy()
    step = training_step(tf, strategy, model, optimizer, *random_windows(), chosen)
    done = 0

    def take(steps: int) -> None:
        nonlocal done
        losses, _ = step.run(batch_positions(WINDOWS, BATCH, 0, done, steps), done)
        np.asarray(losses)
        done += steps

    return "edge-rnn train", take


def keras_fit(threads: int) -> tuple[str, Steps]:
    """Keras's fit with tf.data, as edge-rnn trained up to 1.0."""
    from train.fitting.fit import load_tensorflow
    from train.fitting.model import build_model
    from train.hyperparameters import Hyperparameters

    tf = load_tensorflow("benchmarks.training")
    tf.config.experimental.enable_op_determinism()
    tf.keras.utils.set_random_seed(0)
    model = build_model(tf.keras, Hyperparameters(), steps=STEPS, features=FEATURES, classes=CLASSES)
    model.compile(
        optimizer=tf.keras.optimizers.Adam(RATE, clipnorm=CLIP_NORM),
        loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    windows, normalization = random_windows()
    data = tf.data.Dataset.from_tensor_slices((normalization.apply(windows.x), windows.y))
    data = data.shuffle(WINDOWS, seed=0).repeat().batch(BATCH)

    def shifted(x: Any, y: Any) -> tuple[Any, Any]:
        padded = tf.pad(x, [[0, 0], [2, 2], [2, 2]])
        start = tf.random.uniform([2], 0, 5, tf.int32, seed=0)
        return padded[:, start[0] : start[0] + STEPS, start[1] : start[1] + FEATURES], y

    def take(steps: int) -> int:
        ends: list[int] = []
        note = tf.keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: ends.append(time.perf_counter_ns())
        )
        model.fit(batches, steps_per_epoch=steps + 1, verbose=0, callbacks=[note])
        return ends[-1] - ends[0]  # the first step waits until the windows are shuffled

    batches = data.map(shifted).prefetch(2)
    return "Keras's fit", take


def torch_best(threads: int) -> tuple[str, Steps]:
    """nn.LSTM, nn.Linear and Adam, in the fastest plain configuration."""
    import torch

    torch.set_num_threads(threads)
    ways = {
        f"PyTorch, {adam} Adam, {'batch' if batch_first else 'time'} first": torch_steps(
            torch, batch_first, {"foreach": adam == "foreach", "fused": adam == "fused"}
        )
        for adam in ("foreach", "fused", "plain")
        for batch_first in (True, False)
    }
    for take in ways.values():
        take(WARM_UP)
    times = {name: min(step_time(take, WARM_UP) for _ in range(TRIALS)) for name, take in ways.items()}
    name = min(times, key=lambda name: times[name])
    return name, ways[name]


def torch_steps(torch: Any, batch_first: bool, adam: dict[str, bool]) -> Steps:
    torch.manual_seed(0)
    windows, normalization = random_windows()
    x, y = torch.from_numpy(normalization.apply(windows.x)), torch.from_numpy(windows.y)
    lstm = torch.nn.LSTM(FEATURES, UNITS, batch_first=batch_first)
    dense = torch.nn.Linear(UNITS, CLASSES)
    parameters = [*lstm.parameters(), *dense.parameters()]
    optimizer = torch.optim.Adam(parameters, RATE, **adam)
    random = np.random.default_rng(0)

    def take(steps: int) -> None:
        for _ in range(steps):
            positions = torch.from_numpy(random.integers(0, WINDOWS, BATCH))
            batch = x[positions] if batch_first else x[positions].transpose(0, 1)
            optimizer.zero_grad(set_to_none=True)
            outputs = lstm(batch)[0]
            logits = dense(outputs[:, -1] if batch_first else outputs[-1])
            torch.nn.functional.cross_entropy(logits, y[positions]).backward()
            torch.nn.utils.clip_grad_norm_(parameters, CLIP_NORM)
            optimizer.step()

    return take


WAYS: dict[str, Callable[[int], tuple[str, Steps]]] = {
    "edge-rnn": edge_rnn,
    "torch": torch_best,
    "keras": keras_fit,
}

if __name__ == "__main__":
    sys.exit(serve(opened))
