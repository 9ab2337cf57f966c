"""Brings the forms in which models take windows into `[N, steps, features]`, the one of model files.

[N, steps] of integers             tokens, of a model that begins with an Embedding: [N, steps, 1]
[N, parts, steps, features]        parts, of TimeDistributed convolutions: [N, parts * steps, features]
static [N, k] beside the windows   a second input: k more columns, the same in every row
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import DataError
from edge_runtime.runs.npz_windows import Arrays


def as_windows(arrays: Mapping[str, NDArray[Any]], name: str) -> Arrays:
    """The arrays with every `x` as `[N, steps, features]`, and without `static`.

    `static` is the static input of `x`; `calibration_static` and `test_static` are those of
    `calibration_x` and `test_x`. Raises DataError, beginning with `name`, for a `static` that does not
    fit. Windows of any other form are left as they are.
    """
    result = dict(arrays)
    for prefix in ("", "calibration_", "test_"):
        static = result.pop(f"{prefix}static", None)
        key = f"{prefix}x"
        if key not in result:
            if static is not None:
                raise DataError(f"{name}: {prefix}static is there without {key}. Expected both.")
            continue
        result[key] = _with_three_axes(result[key])
        if static is not None:
            result[key] = _with_static(result[key], static, key, f"{prefix}static", name)
    return result


def _with_three_axes(x: NDArray[Any]) -> NDArray[Any]:
    if x.ndim == 2 and x.dtype.kind in "iu":
        return x[:, :, np.newaxis]
    if x.ndim >= 4:
        return x.reshape(len(x), -1, x.shape[-1])
    return x


def _with_static(
    x: NDArray[Any], static: NDArray[Any], key: str, static_key: str, name: str
) -> NDArray[Any]:
    if static.ndim != 2 or len(static) != len(x) or x.ndim != 3 or static.dtype.kind not in "fiu":
        raise DataError(
            f"{name}: {static_key} has shape {list(static.shape)} and dtype {static.dtype}. Expected "
            f"numbers [{len(x)}, values], one row for each window of {key}."
        )
    rows = np.repeat(static[:, np.newaxis, :], x.shape[1], axis=1)
    return np.concatenate([x, rows], axis=-1, dtype=np.float32)
