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
    from train.datasets.load import load_dataset, load_folds
    from train.evaluation.evaluate import Evaluation, evaluate_run
    from train.evaluation.fold_results import CrossValidation
    from train.evaluation.folds import cross_validate
    from train.evaluation.metrics import Metrics
    from train.finetuning.finetune import Finetuning, finetune_run
    from train.fitting.fit import resume_run, train_named, train_run
    from train.hyperparameters import PRESETS, Hyperparameters, preset
    from train.recordings.data_options import DataOptions
    from train.settings import TrainingSettings

_HOMES = {
    "CrossValidation": "train.evaluation.fold_results",
    "DataOptions": "train.recordings.data_options",
    "Dataset": "train.dataset",
    "Evaluation": "train.evaluation.evaluate",
    "Finetuning": "train.finetuning.finetune",
    "Hyperparameters": "train.hyperparameters",
    "Metrics": "train.evaluation.metrics",
    "PRESETS": "train.hyperparameters",
    "TrainingSettings": "train.settings",
    "cross_validate": "train.evaluation.folds",
    "evaluate_run": "train.evaluation.evaluate",
    "finetune_run": "train.finetuning.finetune",
    "load_dataset": "train.datasets.load",
    "load_folds": "train.datasets.load",
    "preset": "train.hyperparameters",
    "resume_run": "train.fitting.fit",
    "train_named": "train.fitting.fit",
    "train_run": "train.fitting.fit",
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
