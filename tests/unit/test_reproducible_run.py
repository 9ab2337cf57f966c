"""The same network and windows give the same file on every CPU and with every BLAS."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest

from convert.compiler.float_graph.unroll import unroll
from convert.compiler.reproducible_run import exact_product, run_reproducibly
from edge_runtime.numpy_engine.interpret import run
from edge_runtime.numpy_engine.portable_functions import exp, sigmoid, tanh
from tests.support.networks import layer_combinations, random_windows

COMBINATIONS = layer_combinations()

AVX512 = "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL"

COMPUTERS = {
    "this one": {},
    "without AVX-512, one thread": {"NPY_DISABLE_CPU_FEATURES": AVX512, "OPENBLAS_NUM_THREADS": "1"},
    "without AVX2": {
        "NPY_DISABLE_CPU_FEATURES": f"{AVX512} AVX2 FMA3 AVX F16C",
        "OPENBLAS_CORETYPE": "Prescott",
    },
}
"""Name -> environment in which numpy and OpenBLAS compute as on another CPU."""


def files_on(environment: dict[str, str]) -> dict[str, str]:
    """Case -> SHA-256 of its FlatBuffer, converted in a process of its own."""
    command = [sys.executable, "-m", "tests.support.children.file_digests"]
    # The settings of the machine that runs the tests must not matter.
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("NPY_", "OPENBLAS_"))}
    result = subprocess.run(command, env={**kept, **environment}, capture_output=True, check=True)
    return json.loads(result.stdout)


def test_every_computer_writes_the_same_bytes():
    found = {name: files_on(environment) for name, environment in COMPUTERS.items()}
    expected = found.pop("this one")
    assert len(set(expected.values())) > 10
    for name, digests in found.items():
        different = [case for case in expected if digests[case] != expected[case]]
        assert not different, f"{name}: other bytes for {different}"


@pytest.mark.parametrize("name", COMBINATIONS)
def test_the_results_are_those_of_the_fast_run(name):
    network = COMBINATIONS[name]
    graph, windows = unroll(network), random_windows(network)
    np.testing.assert_allclose(run_reproducibly(graph, windows), run(graph, windows), atol=1e-5)


@pytest.mark.parametrize("length", [1, 2, 28, 512, 513, 5000])
def test_a_product_has_the_same_bits_in_every_order(length):
    rng = np.random.default_rng(length)
    rows, columns = rng.normal(size=(7, length)), rng.normal(size=(5, length))
    order = rng.permutation(length)
    product = exact_product(rows, columns)
    np.testing.assert_array_equal(product, exact_product(rows[:, order], columns[:, order]))
    largest = np.abs(rows).max(axis=1, keepdims=True) * np.abs(columns).max(axis=1)
    limit = length * 2.0 ** (2 - (53 - math.ceil(math.log2(length))) // 2) * largest
    assert (np.abs(product - rows @ columns.T) <= limit).all()


def test_a_product_of_zeros_is_zero():
    assert not exact_product(np.zeros((2, 3)), np.ones((4, 3))).any()


def test_portable_functions_are_those_of_the_c_library():
    x = np.concatenate([np.linspace(-40, 40, 20001), np.linspace(-700, 700, 1001)])
    np.testing.assert_allclose(exp(x), [math.exp(value) for value in x], rtol=1e-12)
    np.testing.assert_allclose(tanh(x), [math.tanh(value) for value in x], rtol=0, atol=1e-12)
    logistic = [1 / (1 + math.exp(-value)) for value in x]
    np.testing.assert_allclose(sigmoid(x), logistic, rtol=1e-11)
    assert tanh(np.array(0.5)) == tanh(np.array([0.5]))


def test_portable_functions_have_limits_beyond_the_range_of_exp():
    x = np.array([-np.inf, -1e9, 1e9, np.inf])
    np.testing.assert_allclose(sigmoid(x), [0, 0, 1, 1], atol=1e-300)
    np.testing.assert_allclose(tanh(x), [-1, -1, 1, 1])
    assert np.isnan(exp(np.array([np.nan]))).all()
