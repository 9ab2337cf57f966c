"""The compiled step of a training: several batches in one call, on one replica or on many.

All that is random is drawn from (seed, iteration) for the whole batch, and a replica takes its part. So
the weights depend neither on how many replicas share the work nor on where a training was interrupted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.model_file.normalization import Normalization
from edge_runtime.runs.labelled_windows import LabelledWindows
from train.augmentation import GENERATOR, augmented, own_seed, parse_augmentations, shifted
from train.fitting.forward import forward
from train.hyperparameters import Hyperparameters

CLIP_NORM = 1.0
"""The largest norm of a variable's gradient. It keeps the high first learning rate from derailing the
network."""

_DTYPES = {"none": "float32", "bfloat16": "bfloat16", "float16": "float16"}


@dataclass(frozen=True, eq=False)
class TrainingStep:
    """Moves a model's weights along its loss; made by `training_step`."""

    run: Any
    """A function of (positions `[k, batch]` int32, iteration of the first) that trains on k batches. It
    returns for each of them, `[k]`, the loss and the number of windows whose class was predicted."""


def training_step(
    tf: Any,
    strategy: Any,
    model: Any,
    optimizer: Any,
    windows: LabelledWindows,
    normalization: Normalization,
    chosen: Hyperparameters,
) -> TrainingStep:
    """The step for a model and its windows.

    - `strategy`: of tf.distribute, in whose scope the model and the optimizer were made.
    - `windows`: raw, all of the training split; they are normalized batch by batch.
    """
    replicas = strategy.num_replicas_in_sync
    part = chosen.batch_size // replicas
    data = _Data.of(tf, windows, normalization, chosen, model.layers[-1].units)
    variables = [variable.value for variable in model.trainable_variables]
    dtype = tf.dtypes.as_dtype(_DTYPES[chosen.mixed_precision])

    def replica_step(positions: Any, iteration: Any) -> list[Any]:
        """Sums over all replicas: the gradients, the loss, and how many windows are right."""
        replica = tf.distribute.get_replica_context()
        begin = replica.replica_id_in_sync_group * part
        x, y, weights = data.batch(tf, positions, iteration)
        mine = slice(begin, begin + part)
        kept = _dropout(tf, chosen, iteration, mine)
        with tf.GradientTape() as tape:
            logits = forward(tf, model, x[mine], dtype=dtype, kept=kept)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y[mine], logits)
            loss = tf.reduce_sum(losses * weights[mine]) / chosen.batch_size
            scaled = optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, variables)
        predicted = tf.argmax(logits, axis=1, output_type=y.dtype)
        right = tf.reduce_sum(tf.cast(predicted == y[mine], tf.float32))
        found = [*gradients, loss, right]
        return replica.all_reduce(tf.distribute.ReduceOp.SUM, found) if replicas > 1 else found

    # Nothing in it depends on a tensor's value, and AutoGraph takes half of the time before training.
    replica_step = tf.autograph.experimental.do_not_convert(replica_step)

    def run(positions: Any, first: Any) -> tuple[Any, Any]:
        count = tf.shape(positions)[0]
        losses, correct = (tf.TensorArray(tf.float32, count) for _ in range(2))
        for number in tf.range(count):
            found = strategy.run(replica_step, (positions[number], first + number))
            *gradients, loss, right = [strategy.experimental_local_results(each)[0] for each in found]
            # Outside of strategy.run, in which Keras would add up the replicas' gradients once more.
            optimizer.apply(gradients, model.trainable_variables)
            losses, correct = losses.write(number, loss), correct.write(number, right)
        return losses.stack(), correct.stack()

    kinds = [tf.TensorSpec([None, chosen.batch_size], tf.int32), tf.TensorSpec([], tf.int32)]
    return TrainingStep(tf.function(run, input_signature=kinds))


@dataclass(frozen=True, eq=False)
class _Data:
    """The training windows in TensorFlow's memory."""

    x: Any
    y: Any
    class_weights: Any
    mean: Any
    std: Any
    normalization: Normalization
    chosen: Hyperparameters

    @classmethod
    def of(
        cls,
        tf: Any,
        windows: LabelledWindows,
        normalization: Normalization,
        chosen: Hyperparameters,
        classes: int,
    ) -> _Data:
        return cls(
            x=tf.constant(windows.x),
            y=tf.constant(windows.y.astype(np.int32)),
            class_weights=tf.constant(_class_weights(windows.y, classes, chosen.class_weights)),
            mean=tf.constant(normalization.mean, tf.float32),
            std=tf.constant(normalization.std, tf.float32),
            normalization=normalization,
            chosen=chosen,
        )

    def batch(self, tf: Any, positions: Any, iteration: Any) -> tuple[Any, Any, Any]:
        """Normalized, augmented windows, their classes, and how much each one counts."""
        x = (tf.cast(tf.gather(self.x, positions), tf.float32) - self.mean) / self.std
        seed = _seed(tf, self.chosen, iteration)
        if self.chosen.shift:
            x = shifted(tf, x, self.chosen.shift, seed)
        if self.chosen.augment:
            changes = parse_augmentations(self.chosen.augment)
            x = augmented(tf, x, changes, self.normalization, seed)
        y = tf.gather(self.y, positions)
        return x, y, tf.gather(self.class_weights, y)


def _class_weights(y: NDArray[np.int64], classes: int, rule: str) -> NDArray[np.float32]:
    """`[classes]`: 1, or N / (classes * windows of the class), as scikit-learn's "balanced" has it."""
    if rule == "none":
        return np.ones(classes, np.float32)
    counts = np.bincount(y, minlength=classes)
    return (len(y) / (classes * np.maximum(counts, 1))).astype(np.float32)


def _seed(tf: Any, chosen: Hyperparameters, iteration: Any) -> Any:
    """`[2]` int32 for the random functions that have no state."""
    return tf.stack([tf.constant(np.uint32(chosen.seed).view(np.int32)), iteration])


def _dropout(tf: Any, chosen: Hyperparameters, iteration: Any, mine: slice) -> Any:
    """The dropout of a batch (Srivastava et al. 2014): what is kept is divided by the part kept."""

    def kept(number: int, rate: float, x: Any) -> Any:
        shape = [chosen.batch_size, *x.shape[1:]]
        seed = own_seed(tf, _seed(tf, chosen, iteration), f"dropout {number}")
        keep = tf.random.stateless_uniform(shape, seed, alg=GENERATOR)[mine] >= rate
        return tf.where(keep, x / tf.cast(1 - rate, x.dtype), tf.zeros([], x.dtype))

    return kept
