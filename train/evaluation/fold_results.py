"""What a cross-validation found: the folds, their mean and spread, and all test windows together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from train.evaluation.metrics import Metrics, standard_deviation
from train.evaluation.metrics_text import (
    class_lines,
    confusion_lines,
    group_lines,
    interval_text,
    percent_text,
    score_text,
    table_lines,
)

FOLDS = "folds.json"
FOLDS_PICTURE = "folds.png"

FOLDS_VERSION = 1
"""`schema` of folds.json. It rises when a field disappears or changes its meaning."""

TRAINED_LINES = (
    "The folds share most of their training windows, so other people or devices may differ by more than",
    "their standard deviation.",
)


@dataclass(frozen=True, eq=False)
class Fold:
    """One model, measured on the windows of its fold."""

    name: str
    """The run directory in the folder of the cross-validation: fold-1, fold-2 and so on."""
    metrics: Metrics

    def to_json(self) -> dict[str, Any]:
        """An element of `folds` in folds.json."""
        found = self.metrics
        return {
            "run": self.name,
            **found.accuracy.to_json(),
            **_scores(found),
            "groups": [item.group for item in found.groups],
        }


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """The result of a cross-validation."""

    path: Path
    """The folder with the folds' runs, folds.json and folds.png."""
    dataset: str
    """The name of the data set."""
    folds: tuple[Fold, ...]
    pooled: Metrics
    """The answers of all folds together: each window's from the model that was not trained on it."""
    notes: tuple[str, ...] = ()
    """Sentences on the data set that limit what the figures mean."""

    @property
    def accuracy(self) -> float:
        """The mean accuracy of the folds, 0 to 1."""
        return self.mean["accuracy"]

    @property
    def mean(self) -> dict[str, float]:
        """The mean over the folds of accuracy, balanced_accuracy, macro_f1 and calibration_error."""
        return {name: float(np.mean(values)) for name, values in self._columns().items()}

    @property
    def standard_deviation(self) -> dict[str, float]:
        """The standard deviation over the folds of the same, with K - 1."""
        return {name: standard_deviation(values) or 0.0 for name, values in self._columns().items()}

    def _columns(self) -> dict[str, list[float]]:
        rows = [{"accuracy": f.metrics.accuracy.value, **_scores(f.metrics)} for f in self.folds]
        return {name: [row[name] for row in rows] for name in rows[0]}

    def to_json(self) -> dict[str, Any]:
        """The content of folds.json, a JSON object (docs/guides/evaluation.md)."""
        return {
            "schema": FOLDS_VERSION,
            "dataset": self.dataset,
            "notes": list(self.notes),
            "mean": self.mean,
            "standard_deviation": self.standard_deviation,
            "folds": [fold.to_json() for fold in self.folds],
            "pooled": self.pooled.to_json(),
        }

    def __str__(self) -> str:
        """The tables."""
        windows, groups = self.pooled.accuracy.windows, len(self.pooled.groups)
        whole = f"{windows:,} windows" + (f", {groups} groups" if groups else "")
        blocks = [
            [f"{len(self.folds)} folds of {self.dataset}: {whole}, each in the test split of one fold"],
            self._fold_lines(),
            group_lines(self.pooled.groups, self.pooled.spread, FOLDS),
            class_lines(self.pooled.classes, FOLDS),
            confusion_lines(self.pooled, FOLDS),
            [
                f"Each fold's model is kept as a run: {self.path / self.folds[0].name} and so on.",
                "A cross-validation judges the settings. For a model to use, train without --folds.",
                *(f"written: {self.path / name}" for name in (FOLDS, FOLDS_PICTURE)),
            ],
        ]
        return "\n".join([line for block in blocks for line in (*block, "")][:-1])

    def _fold_lines(self) -> list[str]:
        heads = ("fold", "accuracy %", "95 % interval", "balanced", "macro F1", "windows", "groups")
        rows = [
            (
                fold.name,
                percent_text(fold.metrics.accuracy.value),
                interval_text(fold.metrics.accuracy),
                score_text(fold.metrics.balanced_accuracy),
                score_text(fold.metrics.macro_f1),
                f"{fold.metrics.accuracy.windows:,}",
                f"{len(fold.metrics.groups) or '-'}",
            )
            for fold in self.folds
        ]
        for name, row in (("mean", self.mean), ("standard deviation", self.standard_deviation)):
            scores = (score_text(row["balanced_accuracy"]), score_text(row["macro_f1"]))
            rows.append((name, percent_text(row["accuracy"]), "", *scores, "", ""))
        return [*table_lines(heads, rows), *TRAINED_LINES]


def _scores(metrics: Metrics) -> dict[str, float]:
    return {
        "balanced_accuracy": metrics.balanced_accuracy,
        "macro_f1": metrics.macro_f1,
        "calibration_error": metrics.calibration.expected_error,
    }
