"""Checks that what a caller passes is raw windows, or a raw row, of the model's shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.errors import InputError, short_reason

if TYPE_CHECKING:
    from numpy.typing import NDArray


def checked_windows(windows: Any, steps: int, features: int, *, integers: bool = False) -> NDArray[Any]:
    """Raw windows as `[N, steps, features]`, dtype uint8 or floating; `integers`: any integer as well.

    `windows` is anything numpy takes, of shape `[steps, features]` or `[N, steps, features]`.
    Raises InputError for another shape or dtype.
    """
    try:
        array = np.asarray(windows)
    except ValueError as error:  # ragged nested lists
        raise InputError(
            f"the window is not a rectangular array of numbers ({short_reason(error)}). Expected "
            f"{steps} rows of {features} values."
        ) from None
    _check_dtype(array, "window", integers)
    if array.ndim not in (2, 3) or array.shape[-2:] != (steps, features):
        raise InputError(
            f"the window has shape {list(array.shape)}. Expected [{steps}, {features}] "
            f"or [N, {steps}, {features}]."
        )
    return array if array.ndim == 3 else array[np.newaxis]


def checked_row(row: Any, features: int, *, integers: bool = False) -> NDArray[Any]:
    """One raw row `[features]`, dtype uint8 or floating; `integers`: any integer as well.

    `row` is anything numpy takes. Raises InputError for another shape or dtype.
    """
    try:
        array = np.asarray(row)
    except ValueError as error:  # ragged nested lists
        raise InputError(
            f"the row is not a list of {features} numbers ({short_reason(error)})"
        ) from None
    _check_dtype(array, "row", integers)
    if array.shape != (features,):
        raise InputError(f"the row has shape {list(array.shape)}. Expected [{features}].")
    return array


def _check_dtype(array: NDArray[Any], what: str, integers: bool) -> None:
    if array.dtype != np.uint8 and array.dtype.kind not in ("fiu" if integers else "f"):
        raise InputError(
            f"the {what} has dtype {array.dtype}. Expected uint8 or a floating dtype "
            "(convert with .astype)."
        )
