"""The training loop: batches, reports, early stopping and checkpoints."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.model_file.normalization import Normalization
from edge_runtime.runs.labelled_windows import LabelledWindows
from train.fitting.batches import batch_positions
from train.fitting.checkpoint import (
    DivergedError,
    TrainingState,
    load_training_state,
    save_training_state,
)
from train.fitting.forward import forward
from train.fitting.progress import TensorBoard, TrainingProgress
from train.fitting.schedules import learning_rate
from train.fitting.training_step import CLIP_NORM, training_step
from train.hyperparameters import Hyperparameters
from train.workers.strategy import mean_of_replicas

REPORTS = 20
"""The number of reports in a training. They are at least 100 iterations apart. With `epochs` there is
one after each pass."""

CALL_SECONDS = 0.5
"""About how long one call of the compiled step takes. Ctrl-C is heeded between calls."""

CHECKPOINT_SECONDS = 30.0
"""After so long without a report a checkpoint is written too."""

EVALUATION_BATCH = 1000  # windows


@dataclass(frozen=True, eq=False)
class Training:
    """What a training works with, and where it keeps its state."""

    model: Any
    """The Keras model, made in the scope of `strategy`."""
    train: LabelledWindows
    """Raw."""
    validation: LabelledWindows
    normalization: Normalization
    chosen: Hyperparameters
    folder: Path
    """The folder of the checkpoint."""
    what: dict[str, Any]
    """By which a checkpoint is known to be of this training."""
    writes: bool = True
    """Whether this process writes checkpoints and reports. Of several workers only one does."""
    strategy: Any = None
    """The strategy of tf.distribute; None for a training on one replica."""


def report_plan(chosen: Hyperparameters, windows: int) -> tuple[int, list[int]]:
    """The number of iterations, and the iterations after which a report is made, ascending."""
    if chosen.epochs is not None:
        each = -(-windows // chosen.batch_size)
        return each * chosen.epochs, [each * number for number in range(1, chosen.epochs + 1)]
    iterations = chosen.iterations
    reports = min(REPORTS, max(1, iterations // 100))
    each = iterations // reports
    plan = [each * number for number in range(1, reports + 1)]
    return iterations, plan if plan[-1] == iterations else [*plan, iterations]


def make_optimizer(keras: Any, chosen: Hyperparameters, iterations: int) -> Any:
    """Adam (Kingma and Ba 2015) with the scheduled learning rate, and a scaled loss for float16."""
    rate = learning_rate(keras, chosen.schedule, chosen.learning_rate, iterations)
    optimizer = keras.optimizers.Adam(rate, clipnorm=CLIP_NORM)
    if chosen.mixed_precision == "float16":
        return keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


def fit_model(
    tf: Any,
    training: Training,
    *,
    quiet: bool = False,
    tensorboard: str | Path | None = None,
) -> dict[str, list[float]]:
    """Train the model; returns the history, name of the metric -> one value per report.

    A checkpoint in the training's folder is continued. Raises DataError for a checkpoint of another
    training, and DivergedError.
    """
    iterations, plan = report_plan(training.chosen, len(training.train))
    strategy = training.strategy or tf.distribute.get_strategy()
    with strategy.scope():
        optimizer = make_optimizer(tf.keras, training.chosen, iterations)
        optimizer.build(training.model.trainable_variables)
    loop = _Loop(tf, training, optimizer)
    state = loop.restored()
    progress = TrainingProgress(tf.keras, iterations, quiet=quiet, silent=not training.writes)
    board = TensorBoard(tf, tensorboard if training.writes else None)
    for last in [report for report in plan if report > state.iteration]:
        if loop.finished_early():
            break
        loop.train_until(last, progress)
        metrics = loop.report()
        progress.report(last, metrics)
        board.report(last, metrics)
        if loop.finished_early():
            progress.stopped(last, state.reports_since_best)
        loop.save()
    loop.keep_best()
    return state.history


class _Loop:
    """The state of one training, and the calls that move it on."""

    def __init__(self, tf: Any, training: Training, optimizer: Any) -> None:
        self._tf, self._training, self._optimizer = tf, training, optimizer
        self._strategy = training.strategy or tf.distribute.get_strategy()
        self._step = training_step(
            tf,
            self._strategy,
            training.model,
            optimizer,
            training.train,
            training.normalization,
            training.chosen,
        )
        self._logits = logits_function(tf, training.model)
        self._held_back = training.normalization.apply(training.validation.x)
        self._state = TrainingState()
        self._per_call = 1
        self._saved_at = time.monotonic()

    def restored(self) -> TrainingState:
        """The state of the checkpoint, whose values the variables get; a new one where there is none."""
        found = load_training_state(self._training.folder, self._training.what)
        if found is not None:
            self._state = found
            self._assign(found.model, found.optimizer)
        return self._state

    def train_until(self, last: int, progress: TrainingProgress) -> None:
        """Take the optimizer's steps up to iteration `last`."""
        state, chosen = self._state, self._training.chosen
        began = state.history["iteration"][-1] if state.history else 0
        while state.iteration < last:
            count = min(self._per_call, last - state.iteration)
            positions = batch_positions(
                len(self._training.train), chosen.batch_size, chosen.seed, state.iteration, count
            )
            started = time.monotonic()
            losses, correct = self._step.run(positions, state.iteration)
            loss, right = state.sums
            state.sums = (loss + float(np.sum(losses, dtype=np.float64)), right + float(np.sum(correct)))
            self._choose_calls(
                count, *mean_of_replicas(self._tf, self._strategy, [time.monotonic() - started])
            )
            state.iteration += count
            self._check_finite()
            done = state.iteration - began
            progress.advance(
                state.iteration,
                state.sums[0] / done,
                state.sums[1] / (done * chosen.batch_size),
            )
            if time.monotonic() - self._saved_at > CHECKPOINT_SECONDS:
                self.save()

    def _choose_calls(self, count: int, seconds: float) -> None:
        """Steps of the next call, the same on all workers; the weights do not depend on it. The first
        call compiles."""
        fitting = int(CALL_SECONDS * count / max(seconds, 1e-6))
        self._per_call = max(1, min(fitting, 4 * self._per_call))

    def _check_finite(self) -> None:
        if not np.isfinite(self._state.sums[0]):
            raise DivergedError("training diverged, as the loss is not finite. Lower --learning-rate.")

    def report(self) -> dict[str, float]:
        """Measure the validation windows, add the metrics to the history and return them."""
        state, training = self._state, self._training
        began = state.history["iteration"][-1] if state.history else 0
        done = state.iteration - began
        measured = loss_and_accuracy(self._logits(self._held_back), training.validation.y)
        loss, accuracy = mean_of_replicas(self._tf, self._strategy, [*measured])
        metrics = {
            "iteration": state.iteration,
            "loss": state.sums[0] / done,
            "accuracy": state.sums[1] / (done * training.chosen.batch_size),
            "val_loss": loss,
            "val_accuracy": accuracy,
        }
        for name, value in metrics.items():
            state.history.setdefault(name, []).append(value)
        state.sums = (0.0, 0.0)
        if training.chosen.early_stopping is not None:
            self._remember_best(loss)
        return {name: value for name, value in metrics.items() if name != "iteration"}

    def _remember_best(self, loss: float) -> None:
        state = self._state
        if loss < state.best_loss:
            state.best_loss, state.reports_since_best = loss, 0
            state.best = [np.asarray(value) for value in self._training.model.get_weights()]
        else:
            state.reports_since_best += 1

    def finished_early(self) -> bool:
        """Whether early stopping ends the training here."""
        patience = self._training.chosen.early_stopping
        return patience is not None and self._state.reports_since_best >= patience

    def keep_best(self) -> None:
        """With early stopping: put the weights of the best report into the model."""
        if self._state.best:
            self._training.model.set_weights(self._state.best)

    def save(self) -> None:
        """Write a checkpoint."""
        self._saved_at = time.monotonic()
        if not self._training.writes:
            return
        self._state.model = [np.asarray(value) for value in self._training.model.get_weights()]
        self._state.optimizer = [np.asarray(value) for value in self._optimizer.variables]
        save_training_state(self._training.folder, self._state, self._training.what)

    def _assign(self, model: list[Any], optimizer: list[Any]) -> None:
        self._training.model.set_weights(model)
        for variable, value in zip(self._optimizer.variables, optimizer):
            variable.assign(value)


def logits_function(tf: Any, model: Any) -> Any:
    """A function of normalized windows `[N, steps, features]` that gives the logits `[N, classes]`."""

    compute = tf.function(
        lambda windows: forward(tf, model, windows), reduce_retracing=True, autograph=False
    )

    def logits(windows: NDArray[np.float32]) -> NDArray[np.float32]:
        parts = [
            np.asarray(compute(windows[begin : begin + EVALUATION_BATCH]))
            for begin in range(0, len(windows), EVALUATION_BATCH)
        ]
        return np.concatenate(parts)

    return logits


def loss_and_accuracy(logits: NDArray[np.float32], y: NDArray[np.int64]) -> tuple[float, float]:
    """Mean cross-entropy, and the fraction of the windows whose class is predicted."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    log_sums = np.log(np.exp(shifted).sum(axis=1))
    losses = log_sums - np.take_along_axis(shifted, y[:, np.newaxis], axis=1)[:, 0]
    return float(losses.mean()), float((logits.argmax(axis=1) == y).mean())
