"""The classifier on small real files, in every installed engine."""

from __future__ import annotations

import numpy as np
import pytest

from edge_runtime import Classifier, EngineError, InputError, ModelError, Prediction
from edge_runtime.normalization import Normalization
from tests.conftest import ENGINES
from tests.model_files import write_model
from tests.networks import lstm_logits, random_network

RAW = np.random.default_rng(3).normal(20, 5, (6, 5, 3)).astype(np.float32)


@pytest.fixture(params=ENGINES)
def engine(request):
    return request.param


@pytest.fixture
def classifier(tmp_path, engine):
    with Classifier(write_model(tmp_path / "m.tflite"), engine=engine) as classifier:
        yield classifier


def test_logits_are_the_networks_on_normalized_windows(classifier):
    normalized = (RAW - [10, 20, 30]) / [2, 4, 8]
    expected = lstm_logits(random_network(), normalized)
    np.testing.assert_allclose(classifier.logits(RAW), expected, atol=1e-5)


def test_prediction_of_one_window_and_of_many(classifier):
    many = classifier.predict(RAW)
    assert isinstance(many, list)
    assert len(many) == len(RAW)
    one = classifier.predict(RAW[2])
    assert isinstance(one, Prediction)
    assert one.label == classifier.labels[one.index] == many[2].label
    assert one.index == one.logits.argmax() == one.probabilities.argmax()
    assert one.probabilities.sum() == pytest.approx(1)
    np.testing.assert_array_equal(one.logits, many[2].logits)
    assert classifier.predict(RAW[:1])[0].label == classifier.predict(RAW[0]).label
    assert classifier.predict(RAW[:0]) == []


@pytest.mark.parametrize("precision", ["float32", "dynamic", "int8"])
def test_no_state_leaks_between_calls(tmp_path, engine, precision):
    with Classifier(write_model(tmp_path / "m.tflite", precision), engine=engine) as classifier:
        first = classifier.logits(RAW[0])
        classifier.logits(RAW[1] * 3)
        np.testing.assert_array_equal(classifier.logits(RAW[0]), first)


def test_uint8_and_float_of_the_same_values_agree(classifier):
    pixels = np.random.default_rng(0).integers(0, 60, (5, 3), dtype=np.uint8)
    expected = classifier.logits(pixels)
    for dtype in (np.float16, np.float32, np.float64):
        np.testing.assert_array_equal(classifier.logits(pixels.astype(dtype)), expected)


def test_non_contiguous_windows(classifier):
    np.testing.assert_array_equal(classifier.logits(RAW[::2]), classifier.logits(RAW[::2].copy()))
    turned = np.asfortranarray(RAW[0])
    np.testing.assert_array_equal(classifier.logits(turned), classifier.logits(RAW[0]))


def test_predict_leaves_the_callers_array_alone(classifier):
    window = RAW[0].copy()
    classifier.predict(window)
    np.testing.assert_array_equal(window, RAW[0])


@pytest.mark.parametrize(
    ("window", "message"),
    [
        (np.zeros((5, 4)), r"shape \[5, 4\]: expected \[5, 3\] or \[N, 5, 3\]"),
        (np.zeros(15), r"shape \[15\]"),
        (np.zeros((1, 1, 5, 3)), r"shape \[1, 1, 5, 3\]"),
        (np.zeros((5, 3), complex), "dtype complex128"),
        (np.full((5, 3), "x"), "dtype <U1"),
        ([[1.0, 2.0], [3.0]], "no rectangular array"),
        (np.full((5, 3), np.nan), "NaN, infinity or too large"),
        (np.full((5, 3), -np.inf), "NaN, infinity or too large"),
        (np.full((5, 3), 1e300), "NaN, infinity or too large"),
    ],
)
def test_bad_windows_are_typed_errors(classifier, window, message):
    with pytest.raises(InputError, match=message):
        classifier.predict(window)


def test_integers_are_for_models_that_were_trained_on_numbers(tmp_path, classifier):
    raw = np.full((5, 3), 1000, np.int16)
    np.testing.assert_array_equal(classifier.logits(raw), classifier.logits(raw.astype(np.float32)))
    pixels = write_model(tmp_path / "p.tflite", normalization=Normalization((0.0,), (255.0,), "uint8"))
    with pytest.raises(InputError, match="dtype int64: expected uint8 or a floating dtype"):
        Classifier(pixels).predict(np.zeros((5, 3), np.int64))


def test_pixels_between_0_and_1_are_warned_of(tmp_path):
    pixels = write_model(tmp_path / "p.tflite", normalization=Normalization((0.0,), (255.0,), "uint8"))
    with pytest.warns(UserWarning, match="trained on 0 to 255"):
        Classifier(pixels).predict(np.full((5, 3), 0.7))


def test_a_prediction_is_never_nan(classifier):
    window = np.full((5, 3), 3.4e38, np.float32) * np.float32([1, -1, 1])
    try:
        assert np.isfinite(classifier.predict(window).probabilities).all()
    except InputError as error:
        assert "too large" in str(error)


def test_int8_saturates_instead_of_wrapping(tmp_path, engine):
    with Classifier(write_model(tmp_path / "m.tflite", "int8"), engine=engine) as classifier:
        huge = classifier.logits(np.full((5, 3), 1e30, np.float32))
        large = classifier.logits(np.full((5, 3), 1e3, np.float32))
    np.testing.assert_array_equal(huge, large)


def test_closed_classifier_says_so(tmp_path, engine):
    classifier = Classifier(write_model(tmp_path / "m.tflite"), engine=engine)
    classifier.close()
    classifier.close()
    with pytest.raises(EngineError, match="closed"):
        classifier.predict(RAW[0])


def test_metadata_that_contradicts_the_model_is_refused(tmp_path):
    path = write_model(tmp_path / "m.tflite", labels=("a", "b"))
    with pytest.raises(ModelError, match=r"expected input \[1, 5, 3\] and output \[1, 2\]"):
        Classifier(path)


def test_unknown_engine_and_threads(tmp_path):
    path = write_model(tmp_path / "m.tflite")
    with pytest.raises(EngineError, match="unknown engine 'coral': choose auto"):
        Classifier(path, engine="coral")
    with pytest.raises(EngineError, match="threads is 0"):
        Classifier(path, threads=0)


def test_spec_tells_what_the_file_says(classifier):
    assert classifier.spec.precision == "float32"
    assert (classifier.spec.steps, classifier.spec.features) == (5, 3)
    assert classifier.engine in ENGINES
