"""The native engine on every window of the test split: the bits of the numpy engine, in every set of
kernels that this CPU has, one window at a time and in batches."""

from __future__ import annotations

import numpy as np
import pytest

from edge_runtime import Classifier
from edge_runtime.engines.engine import native_kernels
from tests.support.commands import OFFERED

EXACT = [precision for precision in OFFERED if precision not in ("float32", "float16")]


def logits_of(path, windows, engine, kernels="default"):
    with Classifier(path, engine=engine, kernels=kernels) as classifier:
        return classifier.logits(windows)


@pytest.mark.parametrize("kernels", native_kernels()[1:])
@pytest.mark.parametrize("precision", EXACT)
def test_every_set_of_kernels_has_the_bits_of_the_default_one(trained, models, precision, kernels):
    windows = trained.run.test_windows().x
    expected = logits_of(models[precision], windows, "native")
    assert np.array_equal(logits_of(models[precision], windows, "native", kernels), expected)


@pytest.mark.parametrize(
    "count", [500, pytest.param(10_000, marks=pytest.mark.nightly)], ids=["some", "all"]
)
@pytest.mark.parametrize("precision", EXACT)
def test_the_bits_of_the_numpy_engine(trained, models, precision, count):
    windows = trained.run.test_windows().x[:count]
    expected = logits_of(models[precision], windows, "numpy")
    assert np.array_equal(logits_of(models[precision], windows, "native"), expected)


@pytest.mark.parametrize("kernels", native_kernels())
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_float_sums_differ_by_their_order_alone(trained, models, precision, kernels):
    windows = trained.run.test_windows().x[:500]
    expected = logits_of(models[precision], windows, "numpy")
    found = logits_of(models[precision], windows, "native", kernels)
    assert np.abs(found - expected).max() <= 1e-5 * np.ptp(expected)


@pytest.mark.parametrize("precision", OFFERED)
def test_a_batch_has_the_bits_of_its_windows(models, trained, precision):
    windows = trained.run.test_windows().x[:21]
    with Classifier(models[precision], engine="native") as classifier:
        one_by_one = np.concatenate([classifier.logits(window) for window in windows])
        assert np.array_equal(classifier.logits(windows), one_by_one)
        assert np.array_equal(classifier.logits(windows.astype(np.float64)), one_by_one)
