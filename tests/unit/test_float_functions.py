"""The float functions in C and in numpy: the same bits, with vectors of every width, and near the truth.

tests/support/float_functions.c is compiled for each set of vector instructions that the CPU has.
"""

from __future__ import annotations

import ctypes
import math
import shutil
import subprocess
from ctypes import c_float, c_int, c_int32, c_int64

import numpy as np
import pytest

from edge_runtime.errors import InputError
from edge_runtime.inference.tensors import InputTensor
from edge_runtime.model_file.normalization import Normalization
from edge_runtime.numpy_engine import float_kernels, int16_kernels, integer_kernels
from edge_runtime.numpy_engine.float_functions import exp_float32
from edge_runtime.numpy_engine.hybrid_kernels import fully_connected, quantize_rows
from edge_runtime.tflite.graph import Op, Operator, Quantization, Tensor
from tests.support.commands import ROOT

COMPILER = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C compiler")

STRICT = (
    "-std=c11",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-pedantic",
    "-fPIC",
    "-shared",
    "-ffp-contract=off",
)
VECTORIZED = ("-O3", "-fno-math-errno", "-fno-trapping-math")
AVX512 = ("f", "bw", "dq", "vl")
BUILDS = {
    "plain": (0, ("-O1",)),
    "baseline": (0, VECTORIZED),
    "avx2": (1, (*VECTORIZED, "-mavx2", "-mfma")),
    "avx512": (2, (*VECTORIZED, "-mfma", *(f"-mavx512{part}" for part in AVX512))),
}
"""Name -> what `vectors` in the library has to answer for it, and the compiler's options."""


def compiled(folder, options: tuple[str, ...]) -> ctypes.CDLL:
    path = folder / "float_functions.so"
    source = ROOT / "tests" / "support" / "float_functions.c"
    include = f"-I{ROOT / 'edge_runtime' / 'native' / 'c'}"
    subprocess.run([COMPILER, *STRICT, *options, include, source, "-o", path, "-lm"], check=True)
    return ctypes.CDLL(str(path))


@pytest.fixture(scope="module", params=BUILDS)
def library(request, tmp_path_factory):
    needed, options = BUILDS[request.param]
    if needed:
        plain = compiled(tmp_path_factory.mktemp("plain"), BUILDS["plain"][1])
        if plain.vectors() < needed:
            pytest.skip("this CPU has no such vectors")
    return compiled(tmp_path_factory.mktemp(request.param), options)


def address(values: np.ndarray) -> ctypes.c_void_p:
    assert values.flags.c_contiguous
    return ctypes.c_void_p(values.ctypes.data)


def assert_same_bits(found: np.ndarray, expected: np.ndarray) -> None:
    """Equal in sign of zero, too; NaN only has to be NaN, whose payload IEEE 754 leaves open."""
    found, expected = np.broadcast_arrays(found, expected)
    assert found.dtype == expected.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    number = ~np.isnan(found)
    np.testing.assert_array_equal(found[number].view(np.uint32), expected[number].view(np.uint32))


def all_kinds(step: int) -> np.ndarray:
    """Every step-th of all 2 ** 32 float32 values: denormals, infinities and NaN among them."""
    special = np.array([0, -0.0, np.inf, -np.inf, np.nan, 88.722839, -87.336545], np.float32)
    near = np.concatenate([np.nextafter(special, np.float32(side)) for side in (-np.inf, np.inf)])
    spread = np.arange(0, 2**32, step, dtype=np.uint64).astype(np.uint32).view(np.float32)
    return np.concatenate([special, near, spread])


def usual(count: int) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 3, count).astype(np.float32)


def in_numpy(op: Op, *values: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        (result,) = float_kernels.KERNELS[op](None, [], list(values))
    return result


FUNCTIONS = {"sigmoid": Op.LOGISTIC, "tanh": Op.TANH, "rsqrt": Op.RSQRT, "relu": Op.RELU, "elu": Op.ELU}


def call_by_value(library, name: str, x: np.ndarray) -> np.ndarray:
    out = np.empty_like(x)
    getattr(library, f"all_{name}")(address(x), c_int64(len(x)), address(out))
    return out


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_one_value(library, name):
    x = np.concatenate([all_kinds(2003), usual(1_000_003)])
    assert_same_bits(call_by_value(library, name, x), in_numpy(FUNCTIONS[name], x))


def test_exp(library):
    x = np.concatenate([all_kinds(2003), usual(1_000_003) * np.float32(20)])
    with np.errstate(all="ignore"):
        expected = exp_float32(x)
    assert_same_bits(call_by_value(library, "exp", x), expected)


PAIRS = {"squared_difference": Op.SQUARED_DIFFERENCE, "minimum": Op.MINIMUM}


@pytest.mark.parametrize("name", ["max", *PAIRS])
def test_functions_of_two_values(library, name):
    x = all_kinds(4001)
    y = np.random.default_rng(1).permutation(x)
    out = np.empty_like(x)
    getattr(library, f"all_{name}")(address(x), address(y), c_int64(len(x)), address(out))
    if name == "max":
        np.testing.assert_array_equal(out, np.maximum(x, y))
    else:
        assert_same_bits(out, in_numpy(PAIRS[name], x, y))


@pytest.mark.parametrize("count", [1, 2, 10, 67])
def test_softmax(library, count):
    x = usual(20_000 * count).reshape(-1, count) * np.float32(10)
    x[: len(x) // 50] = (
        np.random.default_rng(2).permutation(all_kinds(2003))[: len(x) // 50 * count].reshape(-1, count)
    )
    out = np.empty_like(x)
    library.softmax(address(x), c_int64(len(x)), c_int32(count), address(out))
    assert_same_bits(out, in_numpy(Op.SOFTMAX, x))


@pytest.mark.parametrize("shape", [(1, 5), (28, 1), (28, 67), (501, 64)])
@pytest.mark.parametrize("keep", [False, True])
def test_mean(library, shape, keep):
    x = usual(math.prod(shape)).reshape(shape)
    out = np.empty(shape[1], np.float32)
    library.mean(address(x), c_int32(shape[0]), c_int32(shape[1]), address(out))
    source = Tensor("x", (1, *shape), np.dtype(np.float32))
    result = Tensor("y", (1, 1, shape[1]) if keep else (1, shape[1]), np.dtype(np.float32))
    operator = Operator(Op.MEAN, ("x",), ("y",), axis=1)
    (expected,) = float_kernels.KERNELS[Op.MEAN](operator, [source, result], [x[None]])
    assert expected.shape == result.shape
    assert_same_bits(out, expected.ravel())


def test_accuracy():
    x = np.concatenate([np.linspace(-100, 100, 2_000_001), usual(1_000_000)]).astype(np.float32)
    exact = x.astype(np.float64)
    with np.errstate(over="ignore"):
        sigmoid = 1 / (1 + np.exp(-exact))
    assert np.abs(in_numpy(Op.LOGISTIC, x) - sigmoid).max() < 1e-7
    assert np.abs(in_numpy(Op.TANH, x) - np.tanh(exact)).max() < 1.1e-7
    small = np.geomspace(1e-30, 1, 100_001).astype(np.float32)
    assert np.abs(in_numpy(Op.TANH, small) / np.tanh(small.astype(np.float64)) - 1).max() < 2.6e-7
    below = np.concatenate([-small, x[x < 0]])
    assert np.abs(in_numpy(Op.ELU, below) / np.expm1(below.astype(np.float64)) - 1).max() < 3e-7
    inside = x[np.abs(x) < 87.3]
    assert np.abs(exp_float32(inside) / np.exp(inside.astype(np.float64)) - 1).max() < 1e-7


def test_limits_and_symmetry():
    ends = np.array([-np.inf, np.inf, np.nan, 0, -0.0], np.float32)
    assert_same_bits(in_numpy(Op.LOGISTIC, ends), np.array([0, 1, np.nan, 0.5, 0.5], np.float32))
    assert_same_bits(in_numpy(Op.TANH, ends), np.array([-1, 1, np.nan, 0, -0.0], np.float32))
    assert_same_bits(in_numpy(Op.ELU, ends), np.array([-1, np.inf, np.nan, 0, -0.0], np.float32))
    assert_same_bits(exp_float32(ends), np.array([0, np.inf, np.nan, 1, 1], np.float32))
    x = all_kinds(4001)
    assert_same_bits(in_numpy(Op.TANH, -x), -in_numpy(Op.TANH, x))


def test_no_result_is_denormal():
    """Units that flush denormals to zero would give other bits."""
    x = all_kinds(2003)
    x = np.concatenate([x, np.linspace(-89, -86, 1_000_001, dtype=np.float32)])
    with np.errstate(all="ignore"):
        results = np.concatenate([exp_float32(x), in_numpy(Op.LOGISTIC, x)])
    assert not ((results != 0) & (results < np.finfo(np.float32).tiny)).any()


def quantized(dtype: type, scale: float, zero_point: int) -> Tensor:
    return Tensor("q", (1, 1), np.dtype(dtype), quantization=Quantization((scale,), zero_point))


INTEGERS = [(np.int8, 0.0371, -7), (np.int8, 0.5, 127), (np.int16, 3.1e-5, 0), (np.int16, 0.25, 0)]


@pytest.mark.parametrize(("dtype", "scale", "zero_point"), INTEGERS)
def test_quantize_and_dequantize(library, dtype, scale, zero_point):
    name = np.dtype(dtype).name
    limits, module = np.iinfo(dtype), {"int8": integer_kernels, "int16": int16_kernels}[name]
    ties = (np.arange(limits.min - 3, limits.max + 3) + 0.5).astype(np.float32)
    ties = np.concatenate([np.nextafter(ties, np.float32(side)) for side in (-np.inf, np.inf)] + [ties])
    x = np.concatenate([all_kinds(4001), ties * np.float32(scale)])
    source, output = Tensor("x", (1, 1), np.dtype(np.float32)), quantized(dtype, scale, zero_point)
    kernel = module.KERNELS[Op.QUANTIZE](Operator(Op.QUANTIZE, ("x",), ("q",)), [source, output])
    (expected,) = kernel([x])
    found = np.empty(len(x), dtype)
    arguments = (c_int64(len(x)), c_float(scale), c_int32(zero_point))
    getattr(library, f"quantize_{name}")(address(x), *arguments, address(found))
    np.testing.assert_array_equal(found, expected)
    assert set(found[np.isnan(x)]) == {limits.min}
    back = np.empty(len(x), np.float32)
    getattr(library, f"dequantize_{name}")(address(found), *arguments, address(back))
    assert_same_bits(back, output.decode(expected))


def hybrid_rows(inputs: int) -> np.ndarray:
    """Rows of activations of many magnitudes and ranges, with zeros, denormals, infinity and NaN."""
    rng = np.random.default_rng(3)
    rows = rng.normal(rng.normal(0, 1, (6000, 1)), 1, (6000, inputs))
    rows *= 10.0 ** rng.uniform(-42, 30, (6000, 1)) * (rng.random((6000, inputs)) < 0.9)
    rows = rows.astype(np.float32)
    rows[:1000] = np.abs(rows[:1000])
    rows[1000:2000] = -np.abs(rows[1000:2000])
    rows[2000:3000] = np.rint(rng.normal(0, 80, (1000, inputs)))  # ties
    rows[3000:3010] = 0
    rows[3010:3020] = -0.0
    for k, value in enumerate((np.nan, -np.nan, np.inf, -np.inf, 3.4e38, -3.4e38)):
        rows[3020 + k, k % inputs] = value
    rows[3030] = [3.4e38, -3.4e38] * (inputs // 2) + [0] * (inputs % 2)
    return rows


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("inputs", [1, 7, 156, 600])
def test_hybrid_matmul(library, inputs, per_channel):
    x, outputs, rng = hybrid_rows(inputs), 9, np.random.default_rng(4)
    weights = rng.integers(-127, 128, (outputs, inputs)).astype(np.int8)
    scales = rng.uniform(0.001, 0.01, outputs if per_channel else 1).astype(np.float32)
    bias = rng.normal(0, 1, outputs).astype(np.float32)
    bias[0] = -0.0
    channel_scales = np.ascontiguousarray(np.broadcast_to(scales, outputs))
    q, found_scale = np.empty(x.shape, np.int8), np.empty((len(x), 1), np.float32)
    zero_point, found = np.empty((len(x), 1), np.int32), np.empty((len(x), outputs), np.float32)
    library.hybrid(
        address(x),
        c_int64(len(x)),
        c_int32(inputs),
        address(weights),
        c_int32(outputs),
        address(channel_scales),
        address(bias),
        *map(address, (q, found_scale, zero_point, found)),
    )
    quantization = Quantization(tuple(map(float, scales)))
    tensor = Tensor("w", weights.shape, np.dtype(np.int8), weights, quantization)
    operator = Operator(Op.FULLY_CONNECTED, ("x", "w", "b"), ("y",))
    with np.errstate(all="ignore"):
        expected_q, scale, expected_zero = quantize_rows(x)
        (expected,) = fully_connected(operator, [tensor, tensor], [x, weights, bias])
    finite = np.isfinite(x).all(axis=1)
    assert_same_bits(found_scale, scale)
    np.testing.assert_array_equal(np.isnan(scale[:, 0]), ~finite)
    np.testing.assert_array_equal(zero_point[finite], expected_zero[finite])
    np.testing.assert_array_equal(q[finite], expected_q[finite])
    assert_same_bits(found, expected)


NORMALIZATIONS = [
    ((33.3,), (78.6,)),
    ((1.5, -20.0, 3e4, 0.1, 7.0), (0.3, 11.0, 1e4, 1e-4, 2.0)),
    ((0.1,), (0.3, 11.0, 1e4, 1e-4, 2.0)),
    ((1.5, -20.0, 3e4, 0.1, 7.0), (0.7,)),
]
TENSORS = [(np.float32, 0.0, 0), (np.int8, 0.02, -11), (np.int16, 3.1e-4, 0), (np.int8, 1e-30, 5)]


def windows(raw_dtype: type) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    if raw_dtype is np.uint8:
        return [rng.integers(0, 256, (31, 5)).astype(np.uint8) for _ in range(20)]
    sizes = 10.0 ** rng.uniform(-45, 37.5, 200)
    drawn = [(rng.normal(0, 1, (31, 5)) * size).astype(np.float32) for size in sizes]
    drawn += [rng.normal(20, 60, (31, 5)).astype(np.float32) for _ in range(200)]
    drawn += [np.rint(window) * np.float32(0.01) for window in drawn[-100:]]
    for k, value in enumerate((np.nan, np.inf, -np.inf, 3.4e38)):
        drawn[k][7 * k, k] = value
    return drawn


@pytest.mark.parametrize("raw_dtype", [np.float32, np.uint8])
@pytest.mark.parametrize(("dtype", "scale", "zero_point"), TENSORS)
@pytest.mark.parametrize("numbers", NORMALIZATIONS)
def test_raw_windows(library, numbers, dtype, scale, zero_point, raw_dtype):
    normalization = Normalization(*map(list, numbers))
    detail = {"shape": (1, 31, 5), "dtype": dtype, "index": 0, "quantization": (scale, zero_point)}
    tensor = InputTensor(detail, normalization)
    mean, std = (np.array(values, np.float32) for values in numbers)
    limits = np.iinfo(np.int8 if dtype is np.float32 else dtype)
    suffix = "_from_bytes" if raw_dtype is np.uint8 else ""
    fill = getattr(library, f"fill_{np.dtype(dtype).name}{suffix}")
    for raw in windows(raw_dtype):
        found = np.empty(raw.shape, dtype)
        finite = fill(
            address(raw),
            *(c_int32(31), c_int32(5)),
            *(address(mean), c_int(len(mean) == 1), address(std), c_int(len(std) == 1)),
            *(c_float(scale), c_int32(zero_point), c_int32(limits.min), c_int32(limits.max)),
            address(found),
        )
        try:
            tensor.fill(raw)
        except InputError:
            assert not finite
            continue
        assert finite
        np.testing.assert_array_equal(found, tensor.values[0])


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.float32])
def test_bytes_are_looked_up(library, dtype):
    table = np.random.default_rng(6).normal(0, 50, 256).astype(dtype)
    raw = np.random.default_rng(7).integers(0, 256, 1001).astype(np.uint8)
    found = np.empty(len(raw), dtype)
    look_up = getattr(library, f"look_up_{np.dtype(dtype).name}")
    look_up(address(raw), c_int64(len(raw)), address(table), address(found))
    np.testing.assert_array_equal(found, table[raw])
