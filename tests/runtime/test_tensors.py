"""Filled buffers hold the same numbers as new arrays, bit for bit."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edge_runtime.errors import InputError
from edge_runtime.inference.tensors import InputTensor, LogitsTensor
from edge_runtime.model_file.normalization import Normalization
from edge_runtime.tflite.quantization import dequantize, quantize

SHAPE = (4, 3)
NORMALIZATIONS = (
    Normalization((0.0,), (255.0,), "uint8"),
    Normalization((0.5,), (0.1,)),
    Normalization((10.0, -20.0, 3e4), (2.0, -4.0, 8.0)),
    Normalization((1e19,), (1e-12,)),
)
AFFINE = {np.float32: (0.0, 0), np.int8: (0.037, -5), np.int16: (0.0003, 0)}


def detail(dtype: type, shape: tuple[int, ...] = (1, *SHAPE)) -> dict:
    return {"index": 0, "shape": np.array(shape), "dtype": dtype, "quantization": AFFINE[dtype]}


RAW = st.one_of(
    arrays.arrays(np.uint8, SHAPE),
    arrays.arrays(np.int64, SHAPE, elements=st.integers(-(2**40), 2**40)),
    arrays.arrays(np.float16, SHAPE),
    arrays.arrays(np.float32, SHAPE),
    arrays.arrays(np.float64, SHAPE),
)


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")  # of the expectation
@given(RAW, st.sampled_from(NORMALIZATIONS), st.sampled_from(sorted(AFFINE, key=str)))
def test_filled_is_normalized_and_quantized(raw, normalization, dtype):
    source = InputTensor(detail(dtype), normalization)
    try:
        expected = normalization.apply(raw)
    except InputError:
        with pytest.raises(InputError, match="NaN, infinity or too large"):
            source.fill(raw)
        return
    if dtype is not np.float32:
        scale, zero_point = AFFINE[dtype]
        expected = quantize(expected, scale, zero_point, dtype)
    source.fill(raw)
    assert source.values.dtype == dtype
    np.testing.assert_array_equal(source.values[0], expected)


def test_nothing_is_left_of_a_window_that_was_refused():
    source = InputTensor(detail(np.int8), NORMALIZATIONS[1])
    good = np.linspace(0, 1, 12, dtype=np.float32).reshape(SHAPE)
    source.fill(good)
    expected = source.values.copy()
    with pytest.raises(InputError):
        source.fill(np.full(SHAPE, np.nan, np.float32))
    source.fill(good)
    np.testing.assert_array_equal(source.values, expected)


@pytest.mark.parametrize("dtype", AFFINE)
def test_logits_are_dequantized(dtype):
    values = np.arange(-128, 128).astype(dtype)[np.newaxis]
    out = np.empty(values.shape, np.float32)
    LogitsTensor(detail(dtype, values.shape)).read(values, out=out)
    expected = values if dtype is np.float32 else dequantize(values, *AFFINE[dtype])
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_are_an_error(number):
    values = np.array([[0.5, number]], np.float32)
    with pytest.raises(InputError, match="NaN or infinite"):
        LogitsTensor(detail(np.float32, (1, 2))).read(values, out=np.empty((1, 2), np.float32))


def test_large_logits_are_numbers():
    values = np.array([[3e38, 3e38]], np.float32)
    out = np.empty((1, 2), np.float32)
    LogitsTensor(detail(np.float32, (1, 2))).read(values, out=out)
    np.testing.assert_array_equal(out, values)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_a_tiny_scale_saturates_without_a_warning(dtype):
    detail = {"shape": [1, 2, 2], "dtype": np.int8, "quantization": (1e-37, 0), "index": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tensor = InputTensor(detail, Normalization((0.0,), (1.0,)))
        tensor.fill(np.array([[0, 200], [100, 50]], dtype))
    assert tensor.values.tolist() == [[[0, 127], [127, 127]]]
