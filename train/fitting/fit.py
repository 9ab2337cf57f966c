"""Trains a model on a data set and writes the run directory."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import edge_runtime
from edge_runtime.errors import DataError
from edge_runtime.host.atomic_file import move_into_place, replacing
from edge_runtime.host.optional_packages import needs_extra
from edge_runtime.host.quiet import quiet_stderr
from edge_runtime.runs import run_directory
from edge_runtime.runs.run_directory import Run, RunRecord
from train.dataset import Dataset
from train.datasets.load import load_dataset
from train.fitting.checkpoint import CHECKPOINT, DivergedError
from train.fitting.loop import Training, fit_model, logits_function
from train.fitting.model import build_model
from train.fitting.recurrent import share_cores
from train.fitting.run_files import TrainedModel, write_run
from train.fitting.working_folder import RUN, is_interrupted, training_folder, working_folder
from train.hyperparameters import Hyperparameters
from train.settings import (
    TrainingSettings,
    config_text,
    hyperparameters_config,
    read_config,
    settings_keys,
)
from train.splitting.splits import hold_back_validation
from train.workers.cluster import cluster_of
from train.workers.meeting import Meeting, workers_met
from train.workers.strategy import worker_strategy

IMAGE_SHIFT = 2
"""Default of Hyperparameters.shift for image data sets."""


def train_named(
    settings: TrainingSettings,
    out: str | Path,
    *,
    quiet: bool = False,
    overwrite: bool = False,
    resume: bool = False,
    tensorboard: str | Path | None = None,
) -> RunRecord:
    """Train with settings that name the data set; see `load_dataset` and `train_run`.

    Raises what they raise. `out` and TensorFlow are checked before the data set is loaded, and the data
    set before TensorFlow is, which takes seconds.
    """
    if _writes_run():
        target = Path(out).resolve()
        complete = (target / run_directory.RECORD).is_file() and not is_interrupted(target)
        if resume and not overwrite and complete:
            return _complete_run(target, settings)
        check_out(target, overwrite)
    require_tensorflow("edge-rnn train")
    dataset = load_dataset(settings.data, settings.data_dir, settings.options)
    return train_run(
        dataset,
        out,
        settings.hyperparameters,
        quiet=quiet,
        overwrite=overwrite,
        resume=resume,
        tensorboard=tensorboard,
        config=settings.to_config(),
    )


def resume_run(
    out: str | Path,
    *,
    quiet: bool = False,
    overwrite: bool = False,
    tensorboard: str | Path | None = None,
) -> RunRecord:
    """Continue the interrupted training of `out` with the settings that it began with.

    A run that is complete is left as it is. Raises DataError where there is neither, and what
    `train_named` raises.
    """
    target = Path(out).resolve()
    config = training_folder(target) / run_directory.SETTINGS_FILE
    if config.is_file():
        settings = TrainingSettings.from_config(read_config(config, settings_keys()))
        return train_named(
            settings, out, quiet=quiet, overwrite=overwrite, resume=True, tensorboard=tensorboard
        )
    if (target / run_directory.RECORD).is_file():
        return Run.open(target).record
    raise DataError(
        f"{out}: no training to continue, as {config.parent} does not exist. Leave out --resume."
    )


def _complete_run(target: Path, settings: TrainingSettings) -> RunRecord:
    """The record of a run that has nothing left to train. Raises DataError for other settings."""
    record = Run.open(target).record
    trained = read_config(target / run_directory.SETTINGS_FILE, settings_keys())
    for name, value in settings.to_config().items():
        if trained.get(name) != value:
            raise DataError(
                f"{target}: is complete, and was trained with {name} {trained.get(name)}, not {value}. "
                "Choose another --out, or pass --overwrite."
            )
    shutil.rmtree(training_folder(target), ignore_errors=True)  # it was killed while it deleted this
    return record


def train_run(
    dataset: Dataset,
    out: str | Path,
    hyperparameters: Hyperparameters | None = None,
    *,
    quiet: bool = False,
    overwrite: bool = False,
    resume: bool = False,
    tensorboard: str | Path | None = None,
    config: Mapping[str, Any] | None = None,
    test: bool = True,
) -> RunRecord:
    """Train a recurrent classifier and write the run directory `out`; returns its record.

        from train import Hyperparameters, load_dataset, train_run

        train_run(load_dataset("digits"), "runs/digits", Hyperparameters(iterations=1500, batch_size=64))

    - `dataset`: raw windows in a training split and a test split. The test split chooses nothing.
    - `out`: the run directory to write. It appears whole, when the training has ended. Until then
      `out`.training holds checkpoints.
    - `hyperparameters`: default `Hyperparameters()`.
    - `quiet`: print one line for each report, on a terminal too. Default: a progress bar on a terminal,
      one line for each report elsewhere.
    - `overwrite`: replace an earlier run at `out`, or what an interrupted training left there. Nothing
      but a run is ever replaced. Default: False.
    - `resume`: continue the interrupted training of `out`, if there is one. Its weights become those of
      a training without interruption. Default: False.
    - `tensorboard`: the folder into which TensorBoard's files are written. Default: none.
    - `config`: what config.toml in the run says besides the hyperparameters, option name -> value.
    - `test`: measure the test split. Default: True.

    With the same arguments on the same machine the weights are the same. Where TF_CONFIG names several
    workers, each one calls this, and worker 0 writes `out` (docs/guides/several-machines.md). Raises
    DataError when `out` is taken, when the interrupted training had other data or hyperparameters, and
    when the training diverges, MissingExtraError without TensorFlow, and WorkerError when another worker
    has ended.
    """
    chosen = _resolved(hyperparameters or Hyperparameters(), dataset)
    what = {
        "data with SHA-256": dataset.digest,
        **asdict(chosen),
        "edge-rnn": edge_runtime.__version__,
    }
    for note in dataset.notes if _writes_run() else ():
        print(f"Note: {note}", file=sys.stderr, flush=True)
    with contextlib.ExitStack() as stack:
        target = Path(out).resolve() if _writes_run() else _scratch(stack) / "run"
        check_out(target, overwrite)
        folder = stack.enter_context(working_folder(target, overwrite=overwrite, resume=resume))
        meeting = stack.enter_context(workers_met(os.environ, what, folder / CHECKPOINT))
        tensorflow = load_tensorflow("edge-rnn train")
        share_cores(tensorflow)
        with replacing(folder / run_directory.SETTINGS_FILE) as temporary:
            settings = config_text({**(config or {}), **hyperparameters_config(chosen)})
            temporary.write_text(settings, "utf-8")
        written = folder / RUN
        written.mkdir(exist_ok=True)  # what a killed process has written there is written again
        job = _Job(dataset, chosen, what, folder, meeting, quiet, tensorboard, test)
        record = _train_into(written, tensorflow, job)
        move_into_place(written, target)
    return record


def _writes_run() -> bool:
    """Whether this process writes the run. Of several workers only the first one does."""
    cluster = cluster_of(os.environ)
    return cluster is None or cluster.chief


def _scratch(stack: contextlib.ExitStack) -> Path:
    """A folder for what another worker writes, gone with the stack."""
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edge-rnn-worker-")))


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
    tensorflow.get_logger().setLevel("ERROR")  # it warns of the functions of several trainings
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


@dataclass(frozen=True, eq=False)
class _Job:
    """A training: its data and settings, and the folder of its checkpoints."""

    dataset: Dataset
    chosen: Hyperparameters
    what: dict[str, Any]
    """By which a checkpoint, and another worker, is known to be of this training."""
    folder: Path
    meeting: Meeting | None
    quiet: bool
    tensorboard: str | Path | None
    test: bool


def _train_into(written: Path, tensorflow: Any, job: _Job) -> RunRecord:
    """Train, and write every file of the run into `written`."""
    dataset, chosen = job.dataset, job.chosen
    tensorflow.keras.utils.set_random_seed(chosen.seed)
    tensorflow.config.experimental.enable_op_determinism()
    held_back = hold_back_validation(dataset, chosen.validation_fraction, chosen.seed)
    train, validation = held_back.train, held_back.validation
    normalization = dataset.normalization()
    _, steps, features = train.x.shape
    with worker_strategy(tensorflow, job.meeting, chosen) as strategy:
        with strategy.scope():
            model = build_model(
                tensorflow.keras, chosen, steps=steps, features=features, classes=len(dataset.labels)
            )
        training = Training(
            model,
            train,
            validation,
            normalization,
            chosen,
            job.folder,
            job.what,
            _writes_run(),
            strategy,
        )
        history = fit_model(tensorflow, training, quiet=job.quiet, tensorboard=job.tensorboard)
    if not all(np.isfinite(weights).all() for weights in model.get_weights()):
        raise DivergedError("training diverged, as the weights are not finite. Lower --learning-rate.")
    shutil.copyfile(job.folder / run_directory.SETTINGS_FILE, written / run_directory.SETTINGS_FILE)
    # The module knows its version. Its distribution has several names (tensorflow, tensorflow-cpu).
    versions = {"tensorflow": str(tensorflow.__version__)}
    return write_run(
        written,
        TrainedModel(model, logits_function(tensorflow, model), normalization, history),
        dataset,
        held_back,
        chosen,
        versions,
        test=job.test,
    )
