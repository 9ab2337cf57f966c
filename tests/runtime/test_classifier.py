"""The classifier on small real files, in every installed engine."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from convert.model_file.archive import embed
from edge_runtime import Classifier, EdgeRnnError, EngineError, InputError, ModelError, Prediction
from edge_runtime.inference.answer import answer_of
from edge_runtime.inference.pool import ClassifierPool
from edge_runtime.model_file.normalization import Normalization
from edge_runtime.model_file.read_file import read_model
from tests.support.commands import PROVING
from tests.support.model_files import metadata_for, write_model
from tests.support.networks import lstm_logits, random_network

RAW = np.random.default_rng(3).normal(20, 5, (6, 5, 3)).astype(np.float32)


@pytest.fixture(params=[*PROVING, "numpy"])
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
        (np.zeros((5, 4)), r"shape \[5, 4\]. Expected \[5, 3\] or \[N, 5, 3\]"),
        (np.zeros(15), r"shape \[15\]"),
        (np.zeros((1, 1, 5, 3)), r"shape \[1, 1, 5, 3\]"),
        (np.zeros((5, 3), complex), "dtype complex128"),
        (np.full((5, 3), "x"), "dtype <U1"),
        ([[1.0, 2.0], [3.0]], "the window is not a rectangular array"),
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
    with pytest.raises(InputError, match="dtype int64. Expected uint8 or a floating dtype"):
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
    with pytest.raises(ModelError, match=r"Expected input \[1, 5, 3\] and output \[1, 2\]"):
        Classifier(path)


def test_kernels_are_chosen_by_name_and_never_shared_unasked(tmp_path, engine):
    path = write_model(tmp_path / "m.tflite")
    first = "plain" if engine == "native" else "no-xnnpack"
    refusal = f"unknown kernels 'fast' of {engine}. Expected default, {first}"
    with pytest.raises(EngineError, match=refusal):
        Classifier(path, engine=engine, kernels="fast")
    for options in ({"kernels": "shared-weights"}, {"shared_weights": True}):
        with pytest.raises(EngineError, match="does not say that the steps can share weights"):
            Classifier(path, engine=engine, **options)
    with pytest.raises(EngineError, match="kernels of their own"):
        Classifier(path, engine=engine, kernels="reference", shared_weights=True)
    kernels = "plain" if engine == "native" else "reference"
    with Classifier(path, engine=engine, kernels=kernels) as plain, Classifier(path) as usual:
        np.testing.assert_allclose(plain.logits(RAW), usual.logits(RAW), atol=1e-4)


def test_unknown_engine_and_threads(tmp_path):
    path = write_model(tmp_path / "m.tflite")
    with pytest.raises(EngineError, match="unknown engine 'coral'. Choose auto"):
        Classifier(path, engine="coral")
    with pytest.raises(EngineError, match="threads is 0"):
        Classifier(path, threads=0)


def test_spec_tells_what_the_file_says(classifier):
    assert classifier.spec.precision == "float32"
    assert (classifier.spec.steps, classifier.spec.features) == (5, 3)
    assert classifier.engine in (*PROVING, "numpy")


def test_a_buffer_of_ones_own_is_filled(classifier):
    out = np.full((len(RAW), 4), np.nan, np.float32)
    assert classifier.logits(RAW, out) is out
    np.testing.assert_array_equal(out, classifier.logits(RAW))
    classifier.logits(RAW[1], out[:1])
    np.testing.assert_array_equal(out[0], out[1])
    for wrong in (np.empty((5, 4), np.float32), np.empty((6, 4))):
        with pytest.raises(InputError, match=r"^out: expected float32\[6, 4\], found "):
            classifier.logits(RAW, wrong)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_threads_share_one_instance(tmp_path, engine, precision):
    """Without the lock, one thread would overwrite another's window before the engine reads it."""
    windows = np.random.default_rng(1).normal(20, 5, (400, 5, 3)).astype(np.float32)
    with Classifier(write_model(tmp_path / "m.tflite", precision), engine=engine) as classifier:
        expected = classifier.logits(windows)
        with ThreadPoolExecutor(8) as threads:
            found = list(threads.map(classifier.logits, windows, chunksize=10))
    np.testing.assert_array_equal(np.concatenate(found), expected)


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_a_pool_predicts_in_order(tmp_path, engine, jobs):
    path = write_model(tmp_path / "m.tflite", "int8")
    windows = np.random.default_rng(1).normal(20, 5, (13, 5, 3)).astype(np.float32)
    with Classifier(path, engine=engine) as one, ClassifierPool(path, jobs, engine=engine) as pool:
        for count in (0, 1, 13):
            found = [prediction.logits for prediction in pool.predict(windows[:count])]
            expected = one.logits(windows[:count])
            np.testing.assert_array_equal(np.reshape(found, expected.shape), expected)
        with pytest.raises(InputError, match="NaN"):
            pool.predict(np.full((3, 5, 3), np.nan))
        (single,) = pool.predict(windows[0])
        np.testing.assert_array_equal(single.logits, one.logits(windows[0])[0])
        for odd in ([[[1.0, 2], [1]]], np.zeros((0, 5, 5))):
            with pytest.raises(InputError):
                pool.predict(odd)
    with pytest.raises(EngineError, match=r"m\.tflite: the model is closed"):
        pool.predict(windows)
    with pytest.raises(InputError, match="^--jobs: expected at least 1, found 0"):
        ClassifierPool(path, 0)


def test_pickling_says_why_not(classifier):
    for copied in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="holds an engine. Pass its path"):
            copied(classifier)


def test_a_damaged_model_is_loaded_only_on_trust(tmp_path):
    path = write_model(tmp_path / "m.tflite")
    data = bytearray(path.read_bytes())
    weight = read_model(path)[0].find(random_network().layers[1].kernel.tobytes())
    data[weight + 3] ^= 1  # the exponent of a float
    path.write_bytes(data)
    with pytest.raises(ModelError, match="do not match the SHA-256"):
        Classifier(path)
    with Classifier(path, trust=True) as classifier:
        assert classifier.logits(RAW).shape == (6, 4)


def with_flatbuffer(path, change, **facts):
    """A model file whose FlatBuffer another tool has changed, with a digest that fits."""
    reason = "takes the schema of ai-edge-litert"
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated", reason=reason)
    flatbuffers = pytest.importorskip("flatbuffers", reason=reason)
    model = schema.ModelT.InitFromPackedBuf(read_model(path)[0], 0)
    change(model.subgraphs[0])
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    flatbuffer = bytes(builder.Output())
    path.write_bytes(embed(flatbuffer, metadata_for(flatbuffer, **facts)))
    return path


def test_a_foreign_model_without_a_scale_or_with_more_inputs_is_refused(tmp_path, engine):
    """The buffer would be filled with nonsense, or not at all."""

    def without_scale(graph) -> None:
        graph.tensors[graph.inputs[0]].quantization = None

    def second_input(graph) -> None:
        graph.inputs = [*graph.inputs, *graph.outputs]

    for change in (without_scale, second_input):
        path = with_flatbuffer(write_model(tmp_path / "m.tflite", "int8"), change)
        with pytest.raises(EdgeRnnError, match=r"m\.tflite: .*(scale|inputs|two places)"):
            Classifier(path, engine=engine)


@pytest.mark.parametrize("trust", [False, True])
def test_a_model_without_metadata_is_refused_with_trust_or_without(tmp_path, engine, trust):
    """The file cannot be run without labels and normalization."""
    path = write_model(tmp_path / "m.tflite")
    path.write_bytes(read_model(path)[0].replace(b"made by edge-rnn", b"made by others.."))
    with pytest.raises(ModelError, match=r"m\.tflite: a TFLite model without edge-rnn metadata"):
        Classifier(path, engine=engine, trust=trust)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_out_has_to_be_a_plain_array_that_can_be_written_to(tmp_path, precision):
    locked = np.zeros((1, 4), np.float32)
    locked.flags.writeable = False
    with Classifier(write_model(tmp_path / "m.tflite", precision)) as classifier:
        for out in (locked, [[0.0] * 4], np.zeros((1, 4), np.float32).view(np.recarray)):
            with pytest.raises(InputError, match="^out: expected a numpy array that can be written to"):
                classifier.logits(RAW[0], out=out)
        wide = np.zeros((4, 2), np.float32)
        np.testing.assert_array_equal(classifier.logits(RAW[0], out=wide[:, :1].T), wide[:, :1].T)
        np.testing.assert_array_equal(wide[:, 0], classifier.logits(RAW[0])[0])


def test_a_closed_classifier_says_so_of_no_windows_too(tmp_path):
    classifier = Classifier(write_model(tmp_path / "m.tflite"))
    assert classifier.predict(RAW[:0]) == []
    classifier.close()
    with pytest.raises(EngineError, match="closed"):
        classifier.predict(RAW[:0])


def test_whole_windows_and_bad_rows_leave_the_states_of_single_rows_alone(tmp_path, engine):
    with Classifier(write_model(tmp_path / "m.tflite", graph="step"), engine=engine) as classifier:
        expected = classifier.logits_by_row(RAW[:1])[0]
        np.testing.assert_array_equal(classifier.step(RAW[0, 0], restart=True), expected[0])
        classifier.predict(RAW[1])
        with pytest.raises(InputError):
            classifier.step(np.full(3, np.nan), restart=True)
        np.testing.assert_array_equal(classifier.step(RAW[0, 1]), expected[1])


@pytest.mark.parametrize("threads", [0, 2**31, 1.5])
def test_a_number_of_threads_that_no_engine_takes(tmp_path, threads):
    with pytest.raises(EngineError, match="Expected a whole number from 1 to 1024"):
        Classifier(write_model(tmp_path / "m.tflite"), threads=threads)


def test_the_first_of_equal_logits_is_the_answer():
    """On the command line as in Python. Classes whose probability underflows are also in order."""
    logits, labels = np.float32([1, -300, 1, -200]), ("a", "b", "c", "d")
    prediction = Prediction(int(logits.argmax()), logits, labels)
    answer = answer_of("x", 0, True, prediction, 4)
    assert [label for label, _ in answer.ranking] == ["a", "c", "d", "b"]
