"""The answer to one window or row, as text or JSON: what `predict` and `stream` print."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.errors import InputError, printable
from edge_runtime.inputs import STANDARD_INPUT

if TYPE_CHECKING:
    from edge_runtime.inference.classifier import Prediction


@dataclass(frozen=True)
class Answer:
    """One window's or row's answer: the best classes with probabilities, or what was wrong with it."""

    source: str | None
    """The file, or STANDARD_INPUT; None for a row of a stream."""
    position: int
    """Index of the window in the file from 0, or number from 1 of the line or row."""
    alone: bool
    """Whether this is the only window of the file."""
    ranking: tuple[tuple[str, float], ...] = ()
    """Label and probability, the best first."""
    logits: tuple[float, ...] = ()
    error: str | None = None

    @property
    def from_line(self) -> bool:
        """Whether the window came on a line of standard input."""
        return self.source == STANDARD_INPUT

    @property
    def failed(self) -> bool:
        """Whether the window could not be classified."""
        return self.error is not None

    def __str__(self) -> str:
        """`digit.png: 7 (99.8 %), 9 (0.1 %)`"""
        source = printable(self.source or "row")
        name = source if self.alone else f"{source}[{self.position}]"
        classes = ", ".join(f"{printable(label)} ({100 * p:.1f} %)" for label, p in self.ranking)
        return f"{name}: {self.error or classes}"

    def to_json(self) -> str:
        """One line of JSON."""
        record: dict[str, Any] = {"row": self.position}
        if self.source is not None:
            record = {"input": self.source, "line" if self.from_line else "index": self.position}
        if self.failed:
            record["error"] = self.error
        else:
            record["label"] = self.ranking[0][0]
            record["probability"] = self.ranking[0][1]
            record["top"] = [{"label": label, "probability": p} for label, p in self.ranking]
            record["logits"] = list(self.logits)
        return json.dumps(record, allow_nan=False)


def check_top(top: int) -> None:
    """Raises InputError for a number of classes to show that is below 1."""
    if top < 1:
        raise InputError(f"--top: expected at least 1, found {top}.")


def answer_of(
    source: str | None, position: int, alone: bool, prediction: Prediction, top: int
) -> Answer:
    """The answer with the `top` best classes of a prediction."""
    # As argmax, which takes the first of equal logits; those of integer models often are.
    order = np.argsort(-prediction.logits, kind="stable")[:top]
    labels, probabilities = prediction.labels, prediction.probabilities
    return Answer(
        source,
        position,
        alone,
        ranking=tuple((labels[k], float(probabilities[k])) for k in order),
        logits=tuple(float(value) for value in prediction.logits),
    )
