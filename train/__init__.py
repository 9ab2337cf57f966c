"""Trains a recurrent classifier in TensorFlow/Keras and writes a run directory.

    from train import Hyperparameters, load_dataset, train_run

    train_run(load_dataset("mnist"), "runs/mnist", Hyperparameters())

The names below are the public interface. Everything else in the package is private and may change in any
release. Errors are those of `edge_runtime.errors`.

Importing this package loads neither TensorFlow nor numpy. A public name is loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.host.lazy_names import lazy_attributes

if TYPE_CHECKING:
    from train.dataset import Dataset
    from train.datasets import load_dataset, load_folds
    from train.evaluate import Evaluation, evaluate_run
    from train.finetune import Finetuning, finetune_run
    from train.fit import resume_run, train_named, train_run
    from train.fold_results import CrossValidation
    from train.folds import cross_validate
    from train.hyperparameters import PRESETS, Hyperparameters, preset
    from train.metrics import Metrics
    from train.recordings.data_options import DataOptions
    from train.settings import TrainingSettings

_HOMES = {
    "CrossValidation": "train.fold_results",
    "DataOptions": "train.recordings.data_options",
    "Dataset": "train.dataset",
    "Evaluation": "train.evaluate",
    "Finetuning": "train.finetune",
    "Hyperparameters": "train.hyperparameters",
    "Metrics": "train.metrics",
    "PRESETS": "train.hyperparameters",
    "TrainingSettings": "train.settings",
    "cross_validate": "train.folds",
    "evaluate_run": "train.evaluate",
    "finetune_run": "train.finetune",
    "load_dataset": "train.datasets",
    "load_folds": "train.datasets",
    "preset": "train.hyperparameters",
    "resume_run": "train.fit",
    "train_named": "train.fit",
    "train_run": "train.fit",
}

__all__ = [
    "PRESETS",
    "CrossValidation",
    "DataOptions",
    "Dataset",
    "Evaluation",
    "Finetuning",
    "Hyperparameters",
    "Metrics",
    "TrainingSettings",
    "cross_validate",
    "evaluate_run",
    "finetune_run",
    "load_dataset",
    "load_folds",
    "preset",
    "resume_run",
    "train_named",
    "train_run",
]

__getattr__ = lazy_attributes(__name__, _HOMES)
