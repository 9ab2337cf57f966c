"""Windows as models take them: tokens, parts, and a static input."""

from __future__ import annotations

import numpy as np
import pytest

from convert.readers.user_data import read_user_data
from edge_runtime.errors import DataError


def test_tokens_have_one_feature():
    data = read_user_data({"x": np.arange(12).reshape(3, 4)})
    assert data.window_shape == (4, 1)


def test_parts_become_rows_one_after_another():
    x = np.arange(48, dtype=np.float32).reshape(2, 3, 4, 2)
    data = read_user_data({"x": x})
    assert data.window_shape == (12, 2)
    np.testing.assert_array_equal(data.windows.x[0, 4], x[0, 1, 0])


def test_a_static_input_becomes_columns():
    x, static = np.ones((3, 4, 2), np.float32), np.array([[5], [6], [7]])
    data = read_user_data({"x": x, "static": static})
    assert data.window_shape == (4, 3)
    np.testing.assert_array_equal(data.windows.x[1], [[1, 1, 6]] * 4)


@pytest.mark.parametrize("static", [np.ones((2, 1)), np.ones(3), np.array([["a"], ["b"], ["c"]])])
def test_a_static_input_that_does_not_fit_is_refused(static):
    with pytest.raises(DataError, match=r"data: static has shape .* Expected numbers \[3, values\]"):
        read_user_data({"x": np.ones((3, 4, 2), np.float32), "static": static})


def test_a_static_input_without_windows_is_refused():
    arrays = {
        "calibration_x": np.ones((3, 4, 2)),
        "test_x": np.ones((3, 4, 2)),
        "static": np.ones((3, 1)),
    }
    with pytest.raises(DataError, match="static is there without x"):
        read_user_data(arrays)
