"""Trains a model on a data set and writes the run directory."""

from __future__ import annotations

import csv
import importlib.util
import os
import platform
import shutil
import sys
import tempfile
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import edge_runtime
from edge_runtime.errors import DataError
from edge_runtime.host.atomic_file import move_into_place
from edge_runtime.host.optional_packages import needs_extra
from edge_runtime.host.quiet import quiet_stderr
from edge_runtime.model_file.normalization import Normalization
from edge_runtime.runs import run_directory
from edge_runtime.runs.labelled_windows import LabelledWindows
from edge_runtime.runs.run_directory import RunRecord
from train.dataset import Dataset
from train.datasets import load_dataset
from train.hyperparameters import Hyperparameters
from train.model import build_model
from train.pictures import plot_history

CLIP_NORM = 1.0
"""The largest norm of a gradient. It keeps the high first learning rate from derailing the LSTM."""

REPORTS = 20
"""The number of reports in a training. They are at least 100 iterations apart."""

WINDOWS_KEPT = 5000
"""The largest number of training windows that the run directory keeps for calibration, and of validation
windows for choices such as --precision auto."""

IMAGE_SHIFT = 2
"""Default of Hyperparameters.shift for image data sets."""

EVALUATION_BATCH = 1000  # windows


def train_named(
    data: str,
    out: str | Path,
    hyperparameters: Hyperparameters,
    *,
    data_dir: str | Path | None = None,
    quiet: bool = False,
    overwrite: bool = False,
) -> RunRecord:
    """Train on a data set given by name or path; see `load_dataset` and `train_run`.

    Raises what they raise. `out` and TensorFlow are checked before the data set is loaded, and the data
    set before TensorFlow is, which takes seconds.
    """
    check_out(Path(out).resolve(), overwrite)
    require_tensorflow("edge-rnn train")
    dataset = load_dataset(data, data_dir)
    return train_run(dataset, out, hyperparameters, quiet=quiet, overwrite=overwrite)


def train_run(
    dataset: Dataset,
    out: str | Path,
    hyperparameters: Hyperparameters | None = None,
    *,
    quiet: bool = False,
    overwrite: bool = False,
) -> RunRecord:
    """Train an LSTM classifier and write the run directory `out`; returns its record.

        from train import Hyperparameters, load_dataset, train_run

        train_run(load_dataset("digits"), "runs/digits", Hyperparameters(iterations=1500, batch_size=64))

    - `dataset`: raw windows in a training split and a test split. The test split chooses nothing.
    - `out`: the run directory to write. It appears whole, when the training has ended.
    - `hyperparameters`: default `Hyperparameters()`.
    - `quiet`: print one line for each report, on a terminal too. Default: a progress bar on a terminal,
      one line for each report elsewhere.
    - `overwrite`: replace an earlier run at `out`. Nothing but a run is ever replaced. Default: False.

    With the same arguments on the same machine the weights are the same. Raises DataError when `out` is
    taken or when the training diverges, and MissingExtraError without TensorFlow.
    """
    target = Path(out).resolve()
    check_out(target, overwrite)
    chosen = _resolved(hyperparameters or Hyperparameters(), dataset)
    tensorflow = load_tensorflow("edge-rnn train")
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        record = _train_into(temporary, tensorflow, dataset, chosen, quiet)
        temporary.chmod(0o755)
        move_into_place(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return record


def require_tensorflow(what: str) -> None:
    """Raises MissingExtraError, which names `what`, without TensorFlow. Does not load it."""
    with needs_extra("workstation", "tensorflow", what):
        if importlib.util.find_spec("tensorflow") is None:
            raise ModuleNotFoundError("tensorflow")


def load_tensorflow(what: str) -> Any:
    """TensorFlow, without its start-up messages. Raises MissingExtraError, which names `what`."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with needs_extra("workstation", "tensorflow", what), quiet_stderr():
        import tensorflow
    return tensorflow


def check_out(target: Path, overwrite: bool) -> None:
    """Raises DataError when `target` is not a run, or is a run that may not be overwritten."""
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    if not (target / run_directory.RECORD).is_file():
        raise DataError(f"{target}: exists and is not a run directory. Choose another --out.")
    if not overwrite:
        raise DataError(f"{target}: already holds a run. Choose another --out, or pass --overwrite.")


def _resolved(hyperparameters: Hyperparameters, dataset: Dataset) -> Hyperparameters:
    """The hyperparameters with `shift` filled in by the data set."""
    if hyperparameters.shift is not None:
        return hyperparameters
    return replace(hyperparameters, shift=IMAGE_SHIFT if dataset.image else 0)


def _train_into(
    folder: Path, tensorflow: Any, dataset: Dataset, chosen: Hyperparameters, quiet: bool
) -> RunRecord:
    """Train, and write every file of the run into `folder`."""
    keras = tensorflow.keras
    keras.utils.set_random_seed(chosen.seed)
    tensorflow.config.experimental.enable_op_determinism()
    train, validation = _validation_split(dataset.train, chosen)
    normalization = dataset.normalization()
    normalize = normalization.apply
    held_back = (normalize(validation.x), validation.y)
    _, steps, features = train.x.shape
    model = build_model(keras, chosen, steps=steps, features=features, classes=len(dataset.labels))
    batches = _batches(tensorflow, normalize(train.x), train.y, chosen)
    history = _fit(keras, model, batches, held_back, chosen, quiet)
    if not all(np.isfinite(weights).all() for weights in model.get_weights()):
        raise DataError("training diverged, as the weights are not finite. Lower --learning-rate.")
    model.save(folder / run_directory.MODEL)
    _write_history(folder, history)
    run_directory.write_windows(
        folder,
        calibration=train.stratified_sample(WINDOWS_KEPT, chosen.seed),
        validation=validation.stratified_sample(WINDOWS_KEPT, chosen.seed),
        test=dataset.test,
    )
    metrics = {
        **_metrics(model, "validation", *held_back),
        **_metrics(model, "test", normalize(dataset.test.x), dataset.test.y),
    }
    sizes = {"train": len(train), "validation": len(validation), "test": len(dataset.test)}
    record = _record(folder, dataset, normalization, chosen, sizes, metrics)
    run_directory.write_record(folder, record)
    return record


def _record(
    folder: Path,
    dataset: Dataset,
    normalization: Normalization,
    chosen: Hyperparameters,
    sizes: dict[str, int],
    metrics: dict[str, float],
) -> RunRecord:
    _, steps, features = dataset.train.x.shape
    settings = asdict(chosen)
    seed = settings.pop("seed")
    fixed = {"optimizer": "adam", "decay": "half cosine to 0", "clip_norm": CLIP_NORM}
    return RunRecord(
        dataset={"name": dataset.name, "digest": dataset.digest, **sizes},
        steps=steps,
        features=features,
        labels=dataset.labels,
        normalization=normalization,
        hyperparameters={**settings, **fixed},
        seed=seed,
        versions=_versions(),
        metrics=metrics,
        model_sha256=run_directory.file_sha256(folder / run_directory.MODEL),
        windows_sha256=run_directory.file_sha256(folder / run_directory.WINDOWS),
    )


def _validation_split(
    windows: LabelledWindows, chosen: Hyperparameters
) -> tuple[LabelledWindows, LabelledWindows]:
    """Training and validation windows, stratified."""
    shuffled = windows.stratified_sample(len(windows), chosen.seed)
    count = max(1, round(chosen.validation_fraction * len(windows)))
    if count >= len(windows):
        raise DataError(
            f"--validation-fraction: {chosen.validation_fraction} of {len(windows)} windows leaves no "
            "training window. Choose a smaller fraction."
        )
    held_back = np.arange(count)
    return shuffled.take(np.arange(count, len(windows))), shuffled.take(held_back)


def _batches(
    tensorflow: Any, x: NDArray[np.float32], y: NDArray[np.int64], chosen: Hyperparameters
) -> Any:
    """An endless tf.data.Dataset of (windows, labels), reshuffled in every pass."""
    data = tensorflow.data.Dataset.from_tensor_slices((x, y))
    data = data.shuffle(len(x), seed=chosen.seed).repeat().batch(chosen.batch_size)
    if chosen.shift:
        data = data.map(lambda windows, labels: (_shifted(tensorflow, windows, chosen), labels))
    return data.prefetch(2)


def _shifted(tensorflow: Any, windows: Any, chosen: Hyperparameters) -> Any:
    """The batch, moved by one random number of steps and features, 0 where nothing was."""
    shift, (_, steps, features) = chosen.shift or 0, windows.shape
    padded = tensorflow.pad(windows, [[0, 0], [shift, shift], [shift, shift]])
    start = tensorflow.random.uniform([2], 0, 2 * shift + 1, tensorflow.int32, seed=chosen.seed)
    return padded[:, start[0] : start[0] + steps, start[1] : start[1] + features]


def _fit(
    keras: Any,
    model: Any,
    batches: Any,
    validation: tuple[NDArray[np.float32], NDArray[np.int64]],
    chosen: Hyperparameters,
    quiet: bool,
) -> dict[str, list[Any]]:
    """Train; returns Keras's history, name of the metric -> one value per report, and iterations."""
    bar = not quiet and sys.stdout.isatty()
    reports = min(REPORTS, max(1, chosen.iterations // 100))
    each, rest = divmod(chosen.iterations, reports)
    schedule = keras.optimizers.schedules.CosineDecay(chosen.learning_rate, chosen.iterations)
    model.compile(
        optimizer=keras.optimizers.Adam(schedule, clipnorm=CLIP_NORM),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    parts = [(each, 0, reports)]
    if rest:  # what is left over after equal reports
        parts.append((rest, reports, reports + 1))
    history: dict[str, list[Any]] = {}
    for iterations, first, last in parts:
        found = model.fit(
            batches,
            steps_per_epoch=iterations,
            initial_epoch=first,
            epochs=last,
            validation_data=validation,
            validation_batch_size=EVALUATION_BATCH,
            verbose=1 if bar else 0,
            callbacks=[] if bar else [_one_line(keras, each, chosen.iterations)],
            shuffle=False,  # the batches are shuffled already
        ).history
        for name, values in found.items():
            history.setdefault(name, []).extend(values)
    seen = [each * k for k in range(1, reports + 1)] + [chosen.iterations] * bool(rest)
    return {"iteration": seen, **history}


def _one_line(keras: Any, each: int, iterations: int) -> Any:
    """A Keras callback that prints one line for each report, `each` iterations apart."""

    def report(epoch: int, logs: dict[str, float]) -> None:
        done = min((epoch + 1) * each, iterations)
        print(
            f"{done:>6} of {iterations} iterations: loss: {logs['loss']:.4f}, "
            f"accuracy: {logs['accuracy']:.4f}, validation loss: {logs['val_loss']:.4f}, "
            f"validation accuracy: {logs['val_accuracy']:.4f}",
            flush=True,
        )

    return keras.callbacks.LambdaCallback(on_epoch_end=report)


def _metrics(model: Any, split: str, x: NDArray[np.float32], y: NDArray[np.int64]) -> dict[str, float]:
    loss, accuracy = model.evaluate(x, y, batch_size=EVALUATION_BATCH, verbose=0)
    return {f"{split}_loss": float(loss), f"{split}_accuracy": float(accuracy)}


def _write_history(folder: Path, history: dict[str, list[float]]) -> None:
    with open(folder / run_directory.HISTORY, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(history)
        writer.writerows(zip(*history.values()))
    plot_history(history, folder / run_directory.CURVES)


def _versions() -> dict[str, str]:
    return {
        "edge-rnn": edge_runtime.__version__,
        "python": platform.python_version(),
        # The module knows its version. Its distribution has several names (tensorflow, tensorflow-cpu).
        "tensorflow": str(load_tensorflow("edge-rnn train").__version__),
        **{name: version(name) for name in ("keras", "numpy")},
    }
