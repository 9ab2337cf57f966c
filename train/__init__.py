"""Trains the LSTM sequence classifier in TensorFlow/Keras and writes a run directory.

    from train import Hyperparameters, load_dataset, train_run

    train_run(load_dataset("mnist"), "runs/mnist", Hyperparameters())

Importing this package loads neither TensorFlow nor numpy: public names are loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.host.lazy_names import lazy_attributes

if TYPE_CHECKING:
    from train.datasets import Dataset, load_dataset
    from train.evaluate import Evaluation, evaluate_run
    from train.fit import train_run
    from train.hyperparameters import PRESETS, Hyperparameters

_HOMES = {
    "Dataset": "train.datasets",
    "Evaluation": "train.evaluate",
    "Hyperparameters": "train.hyperparameters",
    "PRESETS": "train.hyperparameters",
    "evaluate_run": "train.evaluate",
    "load_dataset": "train.datasets",
    "train_run": "train.fit",
}

__all__ = [
    "PRESETS",
    "Dataset",
    "Evaluation",
    "Hyperparameters",
    "evaluate_run",
    "load_dataset",
    "train_run",
]

__getattr__ = lazy_attributes(__name__, _HOMES)
