"""StreamingClassifier on small real files: its predictions are those of Classifier for the same rows."""

from __future__ import annotations

import contextlib
import copy
import pickle
import tracemalloc
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from edge_runtime import Classifier, EngineError, InputError, StreamingClassifier
from edge_runtime.model_file.normalization import Normalization
from tests.support.commands import ENGINES, PROVING
from tests.support.model_files import write_model
from tests.support.networks import lstm_logits, random_network

STEPS = 5
ROWS = np.random.default_rng(3).normal(20, 5, (23, 3)).astype(np.float32)
PIXELS = Normalization((0.0,), (255.0,), "uint8")


@pytest.fixture(params=[*PROVING, "numpy"])
def engine(request):
    return request.param


@pytest.fixture(params=["float32", "int8", "mixed"])
def precision(request):
    return request.param


def pushed(stream: StreamingClassifier, rows) -> dict[int, np.ndarray]:
    """Number of the row, from 1 -> the logits after it, for each row with a prediction."""
    found = {}
    for row in rows:
        prediction = stream.push(row)
        if prediction is not None:
            assert prediction.index == prediction.logits.argmax()
            found[stream.rows] = prediction.logits
    return found


def of_windows(classifier: Classifier, rows, hop: int = 1) -> dict[int, np.ndarray]:
    """The same with Classifier.predict on every window."""
    ends = range(STEPS, len(rows) + 1, hop)
    return {end: classifier.predict(rows[end - STEPS : end]).logits for end in ends}


def assert_same(found: dict[int, np.ndarray], expected: dict[int, np.ndarray]) -> None:
    assert list(found) == list(expected)
    for number, logits in expected.items():
        np.testing.assert_array_equal(found[number], logits, err_msg=f"row {number}")


@pytest.mark.parametrize("hop", [1, 3, 7])
def test_sliding_windows_are_predicted_bit_for_bit(tmp_path, engine, precision, hop):
    path = write_model(tmp_path / "m.tflite", precision)
    with Classifier(path, engine=engine) as classifier:
        expected = of_windows(classifier, ROWS, hop)
    with StreamingClassifier(path, hop=hop, engine=engine) as stream:
        assert_same(pushed(stream, ROWS), expected)
        assert stream.rows == len(ROWS)


@pytest.mark.parametrize("hop", [1, 3])
def test_step_file_with_restart_gives_the_logits_by_row(tmp_path, engine, precision, hop):
    path = write_model(tmp_path / "m.tflite", precision, "step")
    with Classifier(path, engine=engine) as classifier:
        by_row = classifier.logits_by_row(ROWS[:20].reshape(4, STEPS, 3)).reshape(20, -1)
    expected = {number: by_row[number - 1] for number in range(hop, 21, hop)}
    with StreamingClassifier(path, hop=hop, restart=True, engine=engine) as stream:
        assert_same(pushed(stream, ROWS[:20]), expected)


def test_step_file_without_restart_goes_on(tmp_path, engine):
    path = write_model(tmp_path / "m.tflite", graph="step")
    normalized = (ROWS - [10, 20, 30]) / [2, 4, 8]
    with StreamingClassifier(path, engine=engine) as stream:
        found = pushed(stream, ROWS)
    assert list(found) == list(range(1, len(ROWS) + 1))
    for number, logits in found.items():
        expected = lstm_logits(random_network(steps=number), normalized[np.newaxis, :number])[0]
        np.testing.assert_allclose(logits, expected, atol=1e-4)


@pytest.mark.parametrize("graph", ["unrolled", "step"])
def test_reset_forgets_all_rows(tmp_path, graph):
    with StreamingClassifier(write_model(tmp_path / "m.tflite", "int8", graph), hop=2) as stream:
        expected = pushed(stream, ROWS)
        pushed(stream, ROWS[:3])
        stream.reset()
        assert stream.rows == 0
        assert_same(pushed(stream, ROWS), expected)


@pytest.mark.parametrize("options", [{"graph": "unrolled"}, {"graph": "step"}])
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros(4), r"the row has shape \[4\]. Expected \[3\]"),
        (np.zeros((1, 3)), r"shape \[1, 3\]"),
        (np.float64(7), r"shape \[\]"),
        (np.zeros(3, complex), "the row has dtype complex128"),
        (["a", "b", "c"], "dtype <U1"),
        ([1.0, [2.0], 3.0], "the row is not a list of 3 numbers"),
        ([1.0, np.nan, 3.0], "NaN, infinity or too large"),
        ([1.0, 2.0, -np.inf], "NaN, infinity or too large"),
        ([1e300, 2.0, 3.0], "NaN, infinity or too large"),
    ],
)
def test_a_bad_row_leaves_the_stream_as_it_was(tmp_path, options, bad, message):
    path = write_model(tmp_path / "m.tflite", **options)
    with StreamingClassifier(path) as stream:
        expected = pushed(stream, ROWS)
        stream.reset()
        found = {}
        for row in ROWS:  # a bad row before every good one
            before = stream.rows
            with pytest.raises(InputError, match=message):
                stream.push(bad)
            assert stream.rows == before
            found.update(pushed(stream, [row]))
        assert_same(found, expected)


def test_a_bad_row_where_the_states_start_again(tmp_path):
    path = write_model(tmp_path / "m.tflite", "int8", "step")
    with StreamingClassifier(path, restart=True) as stream:
        expected = pushed(stream, ROWS)
        stream.reset()
        found = pushed(stream, ROWS[:STEPS])
        with pytest.raises(InputError, match="NaN"):
            stream.push([np.nan] * 3)
        assert_same({**found, **pushed(stream, ROWS[STEPS:])}, expected)


@pytest.mark.parametrize("graph", ["unrolled", "step"])
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_rows_of_any_dtype_mixed(tmp_path, graph, precision):
    """uint8 rows are looked up, others are computed. One window may have both."""
    path = write_model(tmp_path / "m.tflite", precision, graph, normalization=PIXELS)
    rows = np.random.default_rng(0).integers(0, 256, (20, 3), dtype=np.uint8)
    with StreamingClassifier(path) as stream:
        expected = pushed(stream, rows)
        for dtypes in ([np.float64], [np.uint8] * 8 + [np.float16], [np.float32, np.uint8, np.float64]):
            stream.reset()
            mixed = [row.astype(dtypes[k % len(dtypes)]) for k, row in enumerate(rows)]
            assert_same(pushed(stream, mixed), expected)


def test_integers_are_for_models_that_were_trained_on_numbers(tmp_path):
    with StreamingClassifier(write_model(tmp_path / "m.tflite")) as stream:
        whole = ROWS.astype(np.int16)
        expected = pushed(stream, whole.astype(np.float32))
        stream.reset()
        assert_same(pushed(stream, whole), expected)
    stream = StreamingClassifier(write_model(tmp_path / "p.tflite", normalization=PIXELS))
    with pytest.raises(InputError, match="the row has dtype int16. Expected uint8 or a floating"):
        stream.push(whole[0])


@pytest.mark.parametrize("graph", ["unrolled", "step"])
def test_pixels_between_0_and_1_are_warned_of(tmp_path, graph, recwarn):
    path = write_model(tmp_path / "m.tflite", graph=graph, normalization=PIXELS)
    with StreamingClassifier(path) as stream:
        pushed(stream, np.full((STEPS - 1, 3), 0.7))
        assert not recwarn.list  # one dark row does not mean a wrong unit, a dark window does
        with pytest.warns(UserWarning, match="trained on 0 to 255"):
            stream.push(np.full(3, 0.7))
        recwarn.clear()
        for dark in (np.ones((9, 3), np.uint8), np.eye(9, 3) * 200 + 1, np.zeros((9, 3))):
            stream.reset()
            pushed(stream, dark[:STEPS])
        assert not recwarn.list


def test_the_callers_row_may_be_used_again(tmp_path):
    """A driver may fill one buffer again and again."""
    with StreamingClassifier(write_model(tmp_path / "m.tflite")) as stream:
        expected = pushed(stream, ROWS)
        stream.reset()
        buffer, found = np.empty(3, np.float32), {}
        for row in ROWS:
            buffer[:] = row
            found.update(pushed(stream, [buffer]))
            np.testing.assert_array_equal(buffer, row)
            buffer[:] = np.nan
        assert_same(found, expected)


@pytest.mark.parametrize("graph", ["unrolled", "step"])
def test_memory_is_constant(tmp_path, graph):
    with StreamingClassifier(write_model(tmp_path / "m.tflite", "int8", graph)) as stream:
        pushed(stream, ROWS)
        tracemalloc.start()
        try:
            for _ in range(5000):
                stream.push(ROWS[0])
            assert tracemalloc.get_traced_memory()[0] < 20_000
        finally:
            tracemalloc.stop()


def test_threads_share_one_instance(tmp_path):
    """Without the lock, two threads would both start from zero states, and a row would be lost."""
    path = write_model(tmp_path / "m.tflite", graph="step")
    with StreamingClassifier(path, restart=True) as stream:
        expected = Counter(logits.tobytes() for logits in pushed(stream, [ROWS[0]] * STEPS).values())
        with ThreadPoolExecutor(8) as threads:
            found = list(threads.map(stream.push, [ROWS[0]] * (400 * STEPS)))
        assert stream.rows == 401 * STEPS
    assert len(expected) == STEPS
    assert Counter(prediction.logits.tobytes() for prediction in found) == dict.fromkeys(expected, 400)


@pytest.mark.parametrize("graph", ["unrolled", "step"])
def test_a_closed_stream_says_so(tmp_path, engine, graph):
    stream = StreamingClassifier(write_model(tmp_path / "m.tflite", graph=graph), engine=engine)
    stream.close()
    stream.close()
    with pytest.raises(EngineError, match=r"m\.tflite: the stream is closed"):
        stream.push(ROWS[0])
    with pytest.raises(EngineError, match="closed"):
        stream.reset()


def test_wrong_options_are_typed_errors(tmp_path):
    path = write_model(tmp_path / "m.tflite")
    for hop in (0, -1, 1.5):
        with pytest.raises(InputError, match=f"--hop: expected a whole number .* found {hop}"):
            StreamingClassifier(path, hop=hop)
    with pytest.raises(InputError, match=r"m\.tflite: --restart is for step files"):
        StreamingClassifier(path, restart=True)
    with pytest.raises(EngineError, match="unknown engine 'coral'"):
        StreamingClassifier(path, engine="coral")


def test_it_says_what_the_file_says_and_cannot_be_copied(tmp_path):
    with StreamingClassifier(write_model(tmp_path / "m.tflite")) as stream:
        assert stream.labels == stream.spec.labels == ("idle", "walk", "run", "fall")
        for copied in (pickle.dumps, copy.copy):
            with pytest.raises(TypeError, match="holds an engine. Pass its path"):
                copied(stream)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("graph", ["unrolled", "step"])
def test_a_stream_recovers_from_numbers_that_overflow_in_the_network(tmp_path, graph, engine):
    """The products of these finite rows are not finite. The TFLite engines answer NaN."""
    path = write_model(tmp_path / "m.tflite", graph=graph, normalization=Normalization((0.0,), (1.0,)))
    huge = np.array([3e38, -3e38, 3e38], np.float32)
    with StreamingClassifier(path, engine=engine) as stream:
        expected = pushed(stream, ROWS[:STEPS])[STEPS]
        stream.reset()
        with pytest.raises(InputError, match="logits are NaN or infinite"):
            pushed(stream, [huge] * STEPS)
        for row in ROWS[:STEPS]:
            with contextlib.suppress(InputError):  # of an unrolled file, while they are in the window
                found = stream.push(row)
        np.testing.assert_array_equal(found.logits, expected)
