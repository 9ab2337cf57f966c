"""The answers of `edge-rnn predict`: for each window of a file, for each line of standard input."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

import numpy as np

from edge_runtime.errors import InputError
from edge_runtime.inference.answer import Answer, answer_of, check_top
from edge_runtime.inference.predictor import Predictor
from edge_runtime.inputs import STANDARD_INPUT
from edge_runtime.inputs.read_windows import IMAGE_SUFFIXES, read_windows
from edge_runtime.inputs.text import parse_line

if TYPE_CHECKING:
    from edge_runtime.inference.pool import PredictorPool
    from edge_runtime.inputs.lines import Line

    OneOrMany = Union[Predictor[Any], PredictorPool[Any]]

AT_ONCE = 256
"""Windows of a file that are computed before they are answered."""


def answer_inputs(
    predictor: OneOrMany,
    inputs: Sequence[str],
    *,
    lines: Iterable[Line] = (),
    indices: Sequence[int] = (),
    top: int | None = None,
    invert: bool = False,
) -> Iterator[Answer]:
    """Answer `inputs`: paths (see read_windows.read_windows), or "-" for `lines`.

    Raises what `answer_file` and `answer_lines` raise, and InputError for a `top` below 1 or
    of a model without classes, and for options that do not go with "-".
    """
    check_top(top, predictor.spec)
    if STANDARD_INPUT in inputs and (indices or invert):
        option = "--index" if indices else "--invert"
        raise InputError(f"{option}: goes with files only, found standard input (-).")
    for name in inputs:
        if name == STANDARD_INPUT:
            yield from answer_lines(predictor, lines, top=top)
        else:
            yield from answer_file(predictor, name, indices=indices, top=top, invert=invert)


def answer_file(
    predictor: OneOrMany,
    path: str,
    *,
    indices: Sequence[int] = (),
    top: int | None = None,
    invert: bool = False,
) -> Iterator[Answer]:
    """Answers for the windows of one file, or for those at `indices` (from 0).

    Raises InputError or DataError naming the file.
    """
    spec = predictor.spec
    if Path(path).suffix.lower() in IMAGE_SUFFIXES and spec.normalization.dtype != "uint8":
        raise InputError(f"{path}: a picture, but the model was trained on numbers, not on pixels")
    windows = read_windows(path, spec.steps, spec.features, invert=invert)
    for index in indices:
        if not 0 <= index < len(windows):
            raise InputError(f"{path}: --index is {index}. Expected 0 to {len(windows) - 1}.")
    positions = list(indices) or list(range(len(windows)))
    for start in range(0, len(positions), AT_ONCE):
        chosen = positions[start : start + AT_ONCE]
        try:
            predictions = predictor.predict(windows[chosen])
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        assert isinstance(predictions, list)
        for index, prediction in zip(chosen, predictions):
            yield answer_of(path, index, len(windows) == 1, prediction, top)


def answer_lines(
    predictor: OneOrMany, lines: Iterable[Line], *, top: int | None = None
) -> Iterator[Answer]:
    """An answer for every line with a window on it, in order; a bad line is answered with its error."""
    spec = predictor.spec
    for line in lines:
        try:
            if line.problem:
                raise InputError(line.problem)
            window = parse_line(line.text, spec.steps, spec.features)
            predictions = predictor.predict(window[np.newaxis])
        except InputError as error:
            yield Answer(STANDARD_INPUT, line.number, False, error=str(error))
            continue
        assert isinstance(predictions, list)
        yield answer_of(STANDARD_INPUT, line.number, False, predictions[0], top)
