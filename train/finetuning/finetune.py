"""Quantization-aware fine-tuning: moves a run's weights so that its quantized graph loses less.

The converter says what it would round where (edge_runtime.runs.graph_record); a Keras model with exactly
these roundings learns the full model's logits (distillation: Hinton et al. 2015) on the training windows
that the run keeps. Half of each batch are mixtures of two windows (Zhang et al. 2018, "mixup"): windows
between the classes are the ones whose class a rounding can change, and real ones are rare.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import DataError, InputError
from edge_runtime.host.atomic_file import move_into_place
from edge_runtime.host.child_process import run_module
from edge_runtime.runs import run_directory
from edge_runtime.runs.graph_record import FINETUNED_PRECISIONS, GraphRecord
from edge_runtime.runs.labelled_windows import LabelledWindows
from edge_runtime.runs.run_directory import Run, RunRecord
from train.finetuning.fake_quantization import build_fake_quantized, trainable_constants
from train.fitting.fit import check_out, load_tensorflow
from train.fitting.loop import EVALUATION_BATCH
from train.fitting.training_step import CLIP_NORM
from train.hyperparameters import check_optimization
from train.splitting.stratified_units import choose_units, class_counts

HELD_OUT = 0.1
"""The part of the run's training windows that only judges: fine-tuning must reduce their error."""

FINETUNE_REPORTS = 5
"""The held-out windows are measured this many times; the best weights are kept."""


@dataclass(frozen=True)
class Finetuning:
    """Settings of a fine-tuning."""

    iterations: int = 2000
    """Optimizer steps."""
    batch_size: int = 128
    """Windows per step."""
    learning_rate: float = 0.0003
    """Adam's first rate; it decays to 0 along a half cosine."""
    seed: int = 0
    """Random seed for the order of the windows and for their mixtures."""

    def __post_init__(self) -> None:
        check_optimization(self.iterations, self.batch_size, self.learning_rate, self.seed)


def finetune_run(
    run: str | Path,
    out: str | Path,
    *,
    precision: str = "int8",
    target: str = "any",
    settings: Finetuning | None = None,
    quiet: bool = False,
    overwrite: bool = False,
) -> RunRecord:
    """Fine-tune the run directory `run` for `precision` and write the run directory `out`.

    The new run keeps the full model of `run`, and adds the quantized graph with its weights, the logits
    that its evaluation gives on the test split, and a record of the fine-tuning. Raises InputError for a
    precision, target or setting that is not offered, DataError for a directory that cannot be used, and
    MissingExtraError without TensorFlow.
    """
    if precision not in FINETUNED_PRECISIONS:
        raise InputError(
            f"--precision: {precision} cannot be fine-tuned. Choose {' or '.join(FINETUNED_PRECISIONS)}."
        )
    source, destination = Run.open(run), Path(out).resolve()
    if source.record.finetuned is not None:
        raise DataError(f"{run}: is fine-tuned already. Name the run that it started from.")
    check_out(destination, overwrite)
    tensorflow = load_tensorflow("edge-rnn train --finetune")
    destination.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{destination.name}.", dir=destination.parent))
    try:
        graph = _recorded_graph(source.path, temporary / run_directory.FINETUNED, precision, target)
        record = _finetune_into(temporary, tensorflow, source, graph, settings or Finetuning(), quiet)
        temporary.chmod(0o755)
        move_into_place(temporary, destination)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return record


def _recorded_graph(run: Path, out: Path, precision: str, target: str) -> GraphRecord:
    """The quantized graph. The converter is another package, so a process of its own is asked for it.

    Raises InputError for a target that it does not know, DataError for a run that it cannot convert.
    """
    options = ["--write-graph", str(out), "--precision", precision, "--target", target]
    ending = run_module("edge_runtime", "convert", str(run), *options)
    if not ending:
        said = str(ending)
        if not said.startswith("Error: "):
            raise DataError(f"{run}: cannot be converted ({said}).")
        problem = said.removeprefix("Error: ")
        raise InputError(problem) if problem.startswith("--target: ") else DataError(problem)
    return GraphRecord.load(out)


def _finetune_into(
    folder: Path, tensorflow: Any, source: Run, graph: GraphRecord, settings: Finetuning, quiet: bool
) -> RunRecord:
    """Fine-tune, and write every file of the run into `folder`."""
    keras = tensorflow.keras
    keras.utils.set_random_seed(settings.seed)
    tensorflow.config.experimental.enable_op_determinism()
    teacher = keras.models.load_model(source.model, compile=False)
    model = build_fake_quantized(tensorflow, graph)
    normalize = source.record.normalization.apply
    pool = source.calibration_windows()
    if len(pool) < 2:
        raise DataError(f"{source.path}: keeps {len(pool)} training windows. Expected at least 2.")
    held_out, train = (normalize(part.x) for part in held_out_windows(pool, settings.seed))
    metrics = _fit(tensorflow, model, teacher, train, held_out, settings, quiet)
    tuned = {name: model.constants[name].numpy() for name in trainable_constants(graph)}
    graph = replace(graph, constants={**graph.constants, **tuned})
    graph.save(folder / run_directory.FINETUNED)
    test = normalize(source.test_windows().x)
    predicted = _logits(model, test)
    np.save(folder / run_directory.PREDICTED, predicted)
    full = _logits(teacher, test)
    metrics["test_agreement"] = float(np.mean(predicted.argmax(axis=1) == full.argmax(axis=1)))
    for name in (run_directory.MODEL, run_directory.WINDOWS):
        shutil.copyfile(source.path / name, folder / name)
    record = replace(source.record, finetuned=_finetuned(folder, source, graph, settings, metrics))
    run_directory.write_record(folder, record)
    return record


def held_out_windows(pool: LabelledWindows, seed: int) -> tuple[LabelledWindows, LabelledWindows]:
    """The windows that judge, about HELD_OUT of them, and the windows that train, in a seeded order.

    Whole groups judge where there are some, as the windows of a group are alike.
    """
    shuffled = pool.stratified_sample(len(pool), seed)
    judges = np.arange(len(pool)) < max(1, round(HELD_OUT * len(pool)))
    if shuffled.groups is not None:
        _, groups = np.unique(shuffled.groups, return_inverse=True)
        chosen = choose_units(class_counts(groups, shuffled.y), HELD_OUT)
        judges = judges if chosen is None else chosen[groups]
    return shuffled.take(np.flatnonzero(judges)), shuffled.take(np.flatnonzero(~judges))


def _finetuned(
    folder: Path, source: Run, graph: GraphRecord, settings: Finetuning, metrics: dict[str, float]
) -> dict[str, Any]:
    return {
        "from": source.path.resolve().name,
        "precision": graph.precision,
        "scheme": graph.scheme,
        "settings": asdict(settings),
        "metrics": metrics,
        "graph_sha256": run_directory.file_sha256(folder / run_directory.FINETUNED),
        "predicted_sha256": run_directory.file_sha256(folder / run_directory.PREDICTED),
    }


def _fit(
    tensorflow: Any,
    model: Any,
    teacher: Any,
    train: NDArray[np.float32],
    held_out: NDArray[np.float32],
    settings: Finetuning,
    quiet: bool,
) -> dict[str, float]:
    """Train, and leave the weights with the least error on `held_out` in the model.

    The weights before the first step count as well.
    """
    expected = _logits(teacher, held_out)

    def held_out_error() -> float:
        return float(np.abs(_logits(model, held_out) - expected).mean())

    before = best = held_out_error()
    kept = model.get_weights()
    step = _training_step(tensorflow, model, teacher, settings)
    batches = _batches(len(train), settings)
    each = max(1, settings.iterations // FINETUNE_REPORTS)
    for iteration in range(1, settings.iterations + 1):
        step(tensorflow.constant(train[next(batches)]))
        if iteration % each == 0 or iteration == settings.iterations:
            error = held_out_error()
            if not quiet:
                print(f"{iteration:>6} iterations: mean logit error {error:.4f}, before {before:.4f}")
            if error < best:
                best, kept = error, model.get_weights()
    model.set_weights(kept)
    return {"held_out_logit_error_before": before, "held_out_logit_error": best}


def _batches(count: int, settings: Finetuning) -> Any:
    """Endless batches of positions, shuffled anew in every pass."""
    generator = np.random.default_rng(settings.seed)
    size = min(settings.batch_size, count)
    while True:
        order = generator.permutation(count)
        for start in range(0, count - size + 1, size):
            yield order[start : start + size]


def _training_step(tensorflow: Any, model: Any, teacher: Any, settings: Finetuning) -> Any:
    """A function of a batch of windows that moves the model's weights towards the teacher's logits."""
    tf = tensorflow
    schedule = tf.keras.optimizers.schedules.CosineDecay(settings.learning_rate, settings.iterations)
    optimizer = tf.keras.optimizers.Adam(schedule, clipnorm=CLIP_NORM)
    optimizer.build(model.trainable_variables)

    def step(windows: Any) -> None:
        mixed = _mixtures(tf, windows)
        expected = teacher(mixed, training=False)
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(mixed, training=True) - expected) ** 2)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))

    return tf.function(step, reduce_retracing=True)


def _mixtures(tf: Any, windows: Any) -> Any:
    """The batch, half of its windows mixed with up to the same share of another one."""
    shape = (tf.shape(windows)[0], 1, 1)
    mixed = tf.cast(tf.random.uniform(shape) < 0.5, tf.float32)
    share = 0.5 * mixed * tf.random.uniform(shape)
    return windows * (1 - share) + tf.reverse(windows, [0]) * share


def _logits(model: Any, windows: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(model.predict(windows, batch_size=EVALUATION_BATCH, verbose=0), np.float32)
