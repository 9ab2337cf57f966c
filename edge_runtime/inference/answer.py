"""The answer to one window or row, as text or JSON: what `predict` and `stream` print."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.errors import InputError, printable
from edge_runtime.inference.prediction import Estimate
from edge_runtime.inputs import STANDARD_INPUT
from edge_runtime.model_file.metadata import CLASSIFICATION

if TYPE_CHECKING:
    from edge_runtime.inference.prediction import Prediction
    from edge_runtime.model_file.metadata import Metadata


@dataclass(frozen=True)
class Answer:
    """One window's or row's answer: the best classes with probabilities, numbers, or what was wrong."""

    source: str | None
    """The file, or STANDARD_INPUT; None for a row of a stream."""
    position: int
    """Index of the window in the file from 0, or number from 1 of the line or row."""
    alone: bool
    """Whether this is the only window of the file."""
    ranking: tuple[tuple[str, float], ...] = ()
    """Label and probability, the best first."""
    logits: tuple[float, ...] = ()
    outputs: tuple[tuple[str, float], ...] = ()
    """The names and the values of a model that gives numbers."""
    error: str | None = None

    @property
    def from_line(self) -> bool:
        """Whether the window came on a line of standard input."""
        return self.source == STANDARD_INPUT

    @property
    def failed(self) -> bool:
        """Whether the window could not be answered."""
        return self.error is not None

    def __str__(self) -> str:
        """`digit.png: 7 (99.8 %), 9 (0.1 %)`, or of a regression `w.npy: flow: 8.125, level: 0.5`"""
        source = printable(self.source or "row")
        name = source if self.alone else f"{source}[{self.position}]"
        classes = [f"{printable(label)} ({100 * p:.1f} %)" for label, p in self.ranking]
        values = [f"{printable(label)}: {value:.6g}" for label, value in self.outputs]
        return f"{name}: {self.error or ', '.join(classes or values)}"

    def to_json(self) -> str:
        """One line of JSON."""
        record: dict[str, Any] = {"row": self.position}
        if self.source is not None:
            record = {"input": self.source, "line" if self.from_line else "index": self.position}
        if self.failed:
            record["error"] = self.error
        elif self.outputs:
            record["outputs"] = dict(self.outputs)
        else:
            record["label"] = self.ranking[0][0]
            record["probability"] = self.ranking[0][1]
            record["top"] = [{"label": label, "probability": p} for label, p in self.ranking]
            record["logits"] = list(self.logits)
        return json.dumps(record, allow_nan=False)


def check_top(top: int | None, spec: Metadata) -> None:
    """Raises InputError for a number of classes below 1, and for any if the model gives numbers."""
    if top is None:
        return
    if spec.task != CLASSIFICATION:
        raise InputError(f"--top: is for classifiers. The task of this model is {spec.task}.")
    if top < 1:
        raise InputError(f"--top: expected at least 1, found {top}.")


def answer_of(
    source: str | None,
    position: int,
    alone: bool,
    found: Prediction | Estimate,
    top: int | None = None,
) -> Answer:
    """The answer with the `top` best classes (one by default) of a prediction, or with all numbers."""
    if isinstance(found, Estimate):
        return Answer(source, position, alone, outputs=tuple(found.by_name.items()))
    # As argmax, which takes the first of equal logits; those of integer models often are.
    order = np.argsort(-found.logits, kind="stable")[: top or 1]
    labels, probabilities = found.labels, found.probabilities
    return Answer(
        source,
        position,
        alone,
        ranking=tuple((labels[k], float(probabilities[k])) for k in order),
        logits=tuple(float(value) for value in found.logits),
    )
