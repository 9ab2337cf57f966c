"""Windows and rows from lines of text: JSON arrays, or numbers separated by commas or spaces."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from edge_runtime.errors import InputError, reason

if TYPE_CHECKING:
    from numpy.typing import NDArray


def parse_line(line: str, steps: int, features: int) -> NDArray[np.float64]:
    """One window from one line: a JSON array (nested or flat), or numbers separated by commas or spaces.

    Returns `[steps, features]`. Raises InputError saying what was expected and found.
    """
    return _reshaped(_numbers(line, "window"), steps, features, "the line")


def parse_row(line: str, features: int) -> NDArray[np.float64]:
    """One row from one line, written as `parse_line` takes it.

    Returns `[features]`. Raises InputError saying what was expected and found.
    """
    array = _numbers(line, "row")
    if array.shape != (features,):
        raise InputError(f"the line holds an array of shape {list(array.shape)}. Expected [{features}].")
    return array


def _numbers(line: str, what: str) -> NDArray[np.float64]:
    text = line.strip()
    if "," in text and not all(part.strip() for part in text.strip("[]").split(",")):
        raise InputError(f"not a {what} of numbers, as a number is missing beside a comma")
    if ";" in text:
        raise InputError(f"not a {what} of numbers, as ';' separates them. Expected commas or spaces")
    if any(odd in text for odd in ("_", "true", "false")):  # 1_0 is ten to Python, true is 1 to numpy
        raise InputError(f"not a {what} of numbers, as it holds something else")
    try:
        if text.startswith("["):
            array = np.asarray(json.loads(text))
        else:
            array = np.asarray(text.replace(",", " ").split(), np.float64)
    except (ValueError, RecursionError) as error:
        raise InputError(f"not a {what} of numbers ({reason(error)})") from None
    if array.dtype.kind not in "iuf":  # strings, booleans, integers beyond 64 bits
        raise InputError(f"not a {what} of numbers, as the array holds something else")
    return array.astype(np.float64)


def _reshaped(array: NDArray[np.float64], steps: int, features: int, what: str) -> NDArray[np.float64]:
    if array.shape not in ((steps, features), (steps * features,)):
        raise InputError(
            f"{what} holds an array of shape {list(array.shape)}. Expected [{steps}, {features}] "
            f"or [{steps * features}]."
        )
    return array.reshape(steps, features)
