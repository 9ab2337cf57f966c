"""One trial: trains, converts and measures a configuration. Nothing of the test split is looked at.

A trial trains on a data set whose test split has been replaced by its validation windows, or by a fold
of its training windows. So the proof of the conversion, the accuracy and everything else comes from
those.
"""

from __future__ import annotations

import contextlib
import functools
import io
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.engines.engine import usable_engines
from edge_runtime.errors import DataError, EngineError
from edge_runtime.host.child_process import Ending, run_module
from edge_runtime.runs.labelled_windows import LabelledWindows
from edge_runtime.runs.run_directory import Run
from train.dataset import Dataset
from train.datasets.load import load_dataset
from train.fitting.fit import train_run
from train.recordings.data_options import DataOptions
from train.splitting.splits import hold_back_validation
from train.sweep.cost import measure_cost
from train.sweep.spec import Configuration, SweepSpec
from train.sweep.study import Measured
from train.sweep.training_folds import training_folds

DATASETS_KEPT = 4
"""Data sets, one for each window and hop, that stay in memory."""


@dataclass(frozen=True)
class Accuracy:
    """Right predictions of a converted model."""

    windows: int
    right: int
    groups: dict[str, tuple[int, int]]
    """Group -> its windows and how many are right; empty where the windows have no groups."""

    @property
    def fraction(self) -> float:
        """Right windows of all windows."""
        return self.right / self.windows

    @property
    def worst_group(self) -> tuple[str, float] | None:
        """The group with the lowest accuracy."""
        fractions = {name: right / windows for name, (windows, right) in self.groups.items()}
        return min(fractions.items(), key=lambda item: item[1]) if fractions else None


def two_digits(value: float) -> float:
    """`value` with two significant digits: a few bytes, or the noise of a clock, make no model worse."""
    return float(f"{value:.1e}")


def together(parts: Sequence[Accuracy]) -> Accuracy:
    """The accuracy over the windows of all parts."""
    groups: dict[str, tuple[int, int]] = {}
    for part in parts:
        for name, (windows, right) in part.groups.items():
            known = groups.get(name, (0, 0))
            groups[name] = (known[0] + windows, known[1] + right)
    return Accuracy(sum(part.windows for part in parts), sum(part.right for part in parts), groups)


class Trials:
    """Runs trials of a spec, with temporary files in `scratch`."""

    def __init__(self, spec: SweepSpec, scratch: Path) -> None:
        self._spec, self._scratch = spec, scratch
        self._datasets = functools.lru_cache(DATASETS_KEPT)(self._load)

    def check_data(self, values: Mapping[str, Any]) -> tuple[str, ...]:
        """Load the data set, and return its notes.

        Raises what `load_dataset` raises, before any trial fails by it.
        """
        return self._datasets(self._spec.configuration(values).options)[0].notes

    def __call__(self, values: Mapping[str, Any]) -> Measured:
        """Train, convert and measure the configuration with these values of [search].

        Raises EdgeRnnError when the configuration cannot be trained, converted or run.
        """
        configuration = self._spec.configuration(values)
        parts: list[Accuracy] = []
        size, cost, facts = 0, None, dict[str, Any]()
        for dataset in self._datasets(configuration.options):
            folder = Path(tempfile.mkdtemp(dir=self._scratch))
            try:
                run, model = self._make(folder, dataset, configuration)
                parts.append(accuracy_of(model, run.test_windows(), folder))
                size = max(size, model.stat().st_size)
                if cost is None and self._spec.cost != "size":
                    cost, facts = measure_cost(self._spec.cost, run.path, model)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        total = together(parts)
        attributes = {
            "accuracy": total.fraction,
            "windows": total.windows,
            "worst_group": total.worst_group,
            "fold_accuracies": [part.fraction for part in parts] if self._spec.folds else None,
            "bytes": size,
            "cost": cost,
            "cost_facts": facts,
        }
        costs = [float(size)] if cost is None else [float(size), cost]
        return Measured((total.fraction, *map(two_digits, costs)), attributes)

    def _load(self, options: DataOptions) -> tuple[Dataset, ...]:
        """The data set, or the folds of its training split."""
        spec = self._spec
        dataset = load_dataset(spec.data, spec.data_dir, options)
        if spec.folds is None:
            return (dataset,)
        return tuple(training_folds(dataset, spec.folds, f"{spec.path}: [sweep] folds"))

    def _make(self, folder: Path, dataset: Dataset, chosen: Configuration) -> tuple[Run, Path]:
        """The run and the converted file."""
        run, model = folder / "run", folder / "model.tflite"
        told = io.StringIO()  # what would come between the lines about trials
        with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
            judged = dataset if self._spec.folds else judged_by_validation(dataset, chosen)
            train_run(judged, run, chosen.hyperparameters, quiet=True, test=False)
        convert_run_directory(run, model, chosen.precision, self._spec.target)
        return Run.open(run), model


def convert_run_directory(run: Path, model: Path, precision: str, target: str) -> None:
    """Convert with `edge-rnn convert`. Raises DataError with its sentence where it writes no file."""
    options = ["--precision", precision, "--target", target, "--out", str(model)]
    ending = run_module("edge_runtime", "convert", str(run), *options)
    if not ending:
        raise DataError(f"--precision {precision}: {_refusal(ending)}")


def _refusal(ending: Ending) -> str:
    """Why `edge-rnn convert` wrote no file: its error, or what it says under a proof that failed."""
    refused = [line for line in ending.output.splitlines() if ": not written, " in line]
    if refused:
        return "not written, " + refused[-1].split(": not written, ", 1)[1]
    return str(ending).removeprefix("Error: ")


def accuracy_of(model: Path, windows: LabelledWindows, folder: Path) -> Accuracy:
    """Of a converted file, in a process of its own. `folder`: for temporary files.

    Raises EngineError when the engine fails on the file.
    """
    raw, outputs = folder / "windows.npy", folder / "logits.npy"
    np.save(raw, windows.x)
    engine = usable_engines()[0]
    worker = "edge_runtime.inference.worker"
    ending = run_module(worker, str(model), str(raw), str(outputs), "--engine", engine)
    if not ending:
        raise EngineError(f"{model.name}: fails in {engine} ({ending}).")
    right = np.load(outputs).argmax(axis=1) == windows.y
    return Accuracy(len(right), int(right.sum()), _by_group(right, windows.groups))


def _by_group(right: NDArray[np.bool_], groups: NDArray[np.str_] | None) -> dict[str, tuple[int, int]]:
    if groups is None:
        return {}
    return {
        str(name): (int((groups == name).sum()), int(right[groups == name].sum()))
        for name in np.unique(groups)
    }


def judged_by_validation(dataset: Dataset, chosen: Configuration) -> Dataset:
    """The data set with its validation windows in place of the test split."""
    settings = chosen.hyperparameters
    held_back = hold_back_validation(dataset, settings.validation_fraction, settings.seed)
    return replace(dataset, test=held_back.validation)
