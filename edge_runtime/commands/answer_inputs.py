"""What `edge-rnn predict` says of each window, and `stream` of each row, as text or JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

import numpy as np

from edge_runtime.errors import InputError, printable
from edge_runtime.inference.classifier import Classifier, Prediction
from edge_runtime.inputs.read_windows import IMAGE_SUFFIXES, parse_line, read_windows

if TYPE_CHECKING:
    from edge_runtime.inference.pool import ClassifierPool
    from edge_runtime.inputs.lines import Line

    OneOrMany = Union[Classifier, ClassifierPool]

STANDARD_INPUT = "-"

AT_ONCE = 256
"""Windows of a file that are classified before they are answered."""


@dataclass(frozen=True)
class Answer:
    """One window's or row's answer: the best classes with probabilities, or what was wrong with it."""

    source: str | None
    """The file, or STANDARD_INPUT; None for a row of a stream."""
    position: int
    """Index of the window in the file from 0, or number from 1 of the line or row."""
    alone: bool
    """Whether the file holds this window only."""
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


def answer_inputs(
    classifier: OneOrMany,
    inputs: Sequence[str],
    *,
    lines: Iterable[Line] = (),
    indices: Sequence[int] = (),
    top: int = 1,
    invert: bool = False,
) -> Iterator[Answer]:
    """Classify `inputs`: paths (see windows.read_windows), or "-" for `lines`.

    Raises what `answer_file` and `answer_lines` raise, and InputError for `top` below 1 and
    for options that do not go with "-".
    """
    check_top(top)
    if STANDARD_INPUT in inputs and (indices or invert):
        raise InputError("--index and --invert are for files: standard input, -, takes neither")
    for name in inputs:
        if name == STANDARD_INPUT:
            yield from answer_lines(classifier, lines, top=top)
        else:
            yield from answer_file(classifier, name, indices=indices, top=top, invert=invert)


def check_top(top: int) -> None:
    """Raises InputError for a number of classes to show that is below 1."""
    if top < 1:
        raise InputError(f"--top is {top}: expected at least 1")


def answer_file(
    classifier: OneOrMany,
    path: str,
    *,
    indices: Sequence[int] = (),
    top: int = 1,
    invert: bool = False,
) -> Iterator[Answer]:
    """Answers for the windows of one file, or for those at `indices` (from 0).

    Raises InputError or DataError naming the file.
    """
    spec = classifier.spec
    if Path(path).suffix.lower() in IMAGE_SUFFIXES and spec.normalization.dtype != "uint8":
        raise InputError(f"{path}: a picture, but the model was trained on numbers, not on pixels")
    windows = read_windows(path, spec.steps, spec.features, invert=invert)
    for index in indices:
        if not 0 <= index < len(windows):
            raise InputError(f"{path}: --index is {index}: the file has windows 0 to {len(windows) - 1}")
    positions = list(indices) or list(range(len(windows)))
    for start in range(0, len(positions), AT_ONCE):
        chosen = positions[start : start + AT_ONCE]
        try:
            predictions = classifier.predict(windows[chosen])
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        assert isinstance(predictions, list)
        for index, prediction in zip(chosen, predictions):
            yield answer_of(path, index, len(windows) == 1, prediction, top)


def answer_lines(classifier: OneOrMany, lines: Iterable[Line], *, top: int = 1) -> Iterator[Answer]:
    """An answer for every line with a window on it, in order; a bad line is answered with its error."""
    spec = classifier.spec
    for line in lines:
        try:
            if line.problem:
                raise InputError(line.problem)
            window = parse_line(line.text, spec.steps, spec.features)
            predictions = classifier.predict(window[np.newaxis])
        except InputError as error:
            yield Answer(STANDARD_INPUT, line.number, False, error=str(error))
            continue
        assert isinstance(predictions, list)
        yield answer_of(STANDARD_INPUT, line.number, False, predictions[0], top)


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
