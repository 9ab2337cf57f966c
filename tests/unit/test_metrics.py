"""The figures of a classifier: against scikit-learn, SciPy, statements of the sources, and by hand."""

from __future__ import annotations

import json
import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn import metrics as sk

from train.evaluation.evaluation_picture import plot_metrics
from train.evaluation.metrics import CALIBRATION_BINS, measure_logits, share_of
from train.evaluation.metrics_text import MOST_TABLE_ROWS, SPREAD_LINES, TABLE_WIDTH, metrics_lines
from train.pictures import plot_confusion, short_name


def made(windows: int, classes: int, groups: int = 0, *, name: str = "class", seed: int = 0):
    """Logits that are right more often than not; the arguments of measure_logits."""
    random = np.random.default_rng(seed)
    y = random.integers(0, classes, windows)
    logits = random.normal(0, 1.5, (windows, classes)).astype(np.float32)
    logits[np.arange(windows), y] += 2
    labels = tuple(f"{name} {k}" for k in range(classes))
    names = np.array([f"person {k}" for k in range(max(groups, 1))])
    return logits, y, labels, names[random.integers(0, groups, windows)] if groups else None


def one_hot(predicted: list[int], classes: int) -> np.ndarray:
    return np.eye(classes, dtype=np.float32)[predicted]


def wilson_by_the_formula(correct: int, windows: int) -> tuple[float, float]:
    z = 1.959963984540054
    p = correct / windows
    middle = p + z * z / (2 * windows)
    reach = z * math.sqrt(p * (1 - p) / windows + z * z / (4 * windows * windows))
    return (middle - reach) / (1 + z * z / windows), (middle + reach) / (1 + z * z / windows)


@settings(deadline=None)
@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_is_that_of_wilsons_formula(counts):
    correct, windows = counts
    share = share_of(np.arange(windows) < correct)
    low, high = wilson_by_the_formula(correct, windows)
    assert share.low == pytest.approx(max(low, 0), abs=1e-9)
    assert share.high == pytest.approx(min(high, 1), abs=1e-9)
    assert 0 <= share.low <= share.value <= share.high <= 1


def test_the_interval_of_published_cases():
    """R. G. Newcombe, Statistics in Medicine 17 (1998), 857-872, table I, method 3."""
    for correct, windows, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605)):
        share = share_of(np.arange(windows) < correct)
        assert (round(share.low, 4), round(share.high, 4)) == (low, high)
    assert round(share_of(np.arange(20) < 0).high, 4) == 0.1611
    assert round(share_of(np.arange(29) < 1).low, 4) == 0.0061


@st.composite
def answers(draw):
    """(classes, actual, predicted); classes may be missing from either."""
    classes = draw(st.integers(2, 6))
    one = st.integers(0, classes - 1)
    pairs = draw(st.lists(st.tuples(one, one), min_size=1, max_size=30))
    return classes, *map(np.array, zip(*pairs))


@settings(deadline=None)
@given(answers())
def test_classes_are_those_of_scikit_learn(case):
    classes, y, predicted = case
    found = measure_logits(one_hot(predicted, classes), y, tuple(map(str, range(classes))))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes that only one of both holds
        balanced = sk.balanced_accuracy_score(y, predicted)
        # Without labels, the mean is over the classes that occur or are predicted.
        macro = sk.f1_score(y, predicted, average="macro", zero_division=0)
    assert found.accuracy.value == pytest.approx(sk.accuracy_score(y, predicted))
    assert found.balanced_accuracy == pytest.approx(balanced)
    assert found.macro_f1 == pytest.approx(macro)
    assert sum(item.windows for item in found.classes) == len(y)
    assert found.confusion.sum() == len(y)
    assert found.confusion.trace() == found.accuracy.correct
    for k, item in enumerate(found.classes):
        right, as_this, of_this = found.confusion[k, k], (predicted == k).sum(), (y == k).sum()
        assert item.precision == (pytest.approx(right / as_this) if as_this else None)
        assert item.recall == (pytest.approx(right / of_this) if of_this else None)
        either = as_this + of_this
        assert item.f1 == (pytest.approx(2 * right / either) if either else None)


def test_a_small_case_by_hand():
    logits = one_hot([0, 0, 1, 1, 1, 2], 4)
    groups = np.array(["b", "b", "a", "a", "a", "c"])
    found = measure_logits(logits, np.array([0, 1, 1, 1, 0, 2]), ("w", "x", "y", "z"), groups)
    assert found.confusion.tolist() == [[1, 1, 0, 0], [1, 2, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    w, x, y, z = found.classes
    assert (w.precision, w.recall, w.f1, w.windows) == (0.5, 0.5, 0.5, 2)
    assert (x.precision, x.recall, x.windows) == (pytest.approx(2 / 3), pytest.approx(2 / 3), 3)
    assert (y.precision, y.recall, y.f1) == (1, 1, 1)
    assert (z.precision, z.recall, z.f1, z.windows) == (None, None, None, 0)
    assert [(item.group, item.share.correct, item.share.windows) for item in found.groups] == [
        ("b", 1, 2),
        ("a", 2, 3),
        ("c", 1, 1),
    ]
    assert found.spread is not None
    assert found.spread.mean == pytest.approx((1 / 2 + 2 / 3 + 1) / 3)
    assert found.spread.standard_deviation == pytest.approx(np.std([1 / 2, 2 / 3, 1], ddof=1))
    assert (found.spread.groups, found.spread.worst, found.spread.best) == (3, 0.5, 1)


def test_a_single_group_has_no_spread_and_groups_count_the_same():
    logits, y, labels, _ = made(50, 3)
    assert measure_logits(logits, y, labels).spread is None
    one = measure_logits(logits, y, labels, np.full(50, "ann"))
    assert one.spread is not None
    assert one.spread.standard_deviation is None
    lines = metrics_lines(one, "test", "evaluation.json")
    assert "one group: how far groups differ is not known" in lines
    assert SPREAD_LINES[1] not in lines
    # 90 windows of ann are right, 10 of bob are wrong: 90 % of the windows, but half of the people.
    groups = np.array(["ann"] * 90 + ["bob"] * 10)
    found = measure_logits(one_hot([0] * 100, 2), np.array([0] * 90 + [1] * 10), ("x", "y"), groups)
    assert (found.accuracy.value, found.spread.mean, found.groups[0].group) == (0.9, 0.5, "bob")


def test_calibration_by_hand():
    """Probabilities 0.8 and 0.6 of two classes: four fifths and one half of the windows are right."""
    high, low = math.log(0.8 / 0.2), math.log(0.6 / 0.4)
    logits = np.array([[high, 0]] * 5 + [[low, 0]] * 4, np.float32)
    found = measure_logits(logits, np.array([0, 0, 0, 0, 1, 0, 0, 1, 1]), ("x", "y")).calibration
    filled = [item for item in found.bins if item.windows]
    assert [(item.windows, item.accuracy) for item in filled] == [(4, 0.5), (5, 0.8)]
    assert filled[0].probability == pytest.approx(0.6)
    assert found.expected_error == pytest.approx(4 / 9 * 0.1, abs=1e-6)
    assert found.probability == pytest.approx((5 * 0.8 + 4 * 0.6) / 9)


@settings(deadline=None)
@given(st.integers(0, 1000))
def test_calibration_is_that_of_another_way_to_write_it(seed):
    logits, y, labels, _ = made(200, 4, seed=seed)
    found = measure_logits(logits, y, labels).calibration
    powers = np.exp(logits.astype(np.float64))
    probability = (powers / powers.sum(axis=1, keepdims=True)).max(axis=1)
    # Bins that are closed on the right, as ceil makes them.
    place = np.ceil(probability * CALIBRATION_BINS) - 1
    right = logits.argmax(axis=1) == y
    gaps = [abs((right[place == k] - probability[place == k]).sum()) for k in range(CALIBRATION_BINS)]
    assert found.expected_error == pytest.approx(sum(gaps) / len(y))
    assert sum(item.windows for item in found.bins) == len(y)
    assert len(found.bins) == CALIBRATION_BINS


def test_probabilities_of_logits_beyond_float32s_exponent_are_known():
    found = measure_logits(
        np.array([[1e4, -1e4], [3e38, -3e38]], np.float32), np.array([0, 1]), ("x", "y")
    )
    assert found.calibration.probability == 1
    assert found.calibration.expected_error == 0.5


@pytest.mark.parametrize("groups", [0, 3])
def test_json_is_plain_json(groups):
    arguments = made(60, 3, groups)
    found = measure_logits(*arguments)
    content = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert content["accuracy"] == found.accuracy.value
    assert content["windows"] == 60
    assert [item["label"] for item in content["classes"]] == list(arguments[2])
    assert len(content["groups"]) == groups
    assert (content["spread"] is None) == (groups == 0)
    assert len(content["calibration"]["bins"]) == CALIBRATION_BINS
    assert np.array(content["confusion"]).shape == (3, 3)


CASES = {
    "two": made(90, 2),
    "ten": made(300, 10, 4),
    "ten with long names": made(300, 10, 4, name="climbing the stairs with a rucksack"),
    "fifty": made(500, 50, 60, name="$x_"),
}


@pytest.mark.parametrize("case", CASES)
def test_tables_have_every_row_or_say_how_many_they_leave_out(case):
    logits, y, labels, groups = CASES[case]
    found = measure_logits(logits, y, labels, groups)
    lines = metrics_lines(found, "test", "evaluation.json")
    assert max(map(len, lines)) <= TABLE_WIDTH
    text = "\n".join(lines)
    assert f"test accuracy: {100 * found.accuracy.value:.2f} % of {len(y)} windows (95 %" in text
    if groups is None:
        assert "the windows of the run have no groups" in text
        assert SPREAD_LINES[0] not in lines
    else:
        assert SPREAD_LINES[0] in lines
        heads = next(k for k, line in enumerate(lines) if line.startswith("groups, worst first"))
        assert lines[heads + 1].startswith(found.groups[0].group)
    if case == "fifty":
        assert f"... and {50 - MOST_TABLE_ROWS} more classes, in evaluation.json" in lines
        assert f"... and {60 - MOST_TABLE_ROWS} more groups, in evaluation.json" in lines
        assert "most frequent confusions" in text
        return
    head = lines.index("confusion matrix (rows: actual, columns: predicted)")
    rows = [line.split()[-len(labels) :] for line in lines[head + 2 : head + 2 + len(labels)]]
    np.testing.assert_array_equal(np.array(rows, int), found.confusion)


def test_many_classes_without_a_mistake():
    labels = tuple(f"a rather long name {k}" for k in range(60))
    found = measure_logits(one_hot(list(range(60)), 60), np.arange(60), labels)
    assert "confusion matrix: no window is in the wrong class" in metrics_lines(found, "test", "e")


def test_names_are_short_printable_and_still_different():
    names = {short_name(f"climbing the stairs with a rucksack of {k} kg") for k in (10, 20)}
    assert len(names) == 2
    assert {len(name) for name in names} == {32}
    assert short_name("bell\a") == "bell\\x07"


@pytest.mark.parametrize("case", ["two", "fifty"])
def test_pictures_of_few_and_of_many(case, tmp_path):
    logits, y, labels, groups = CASES[case]
    found = measure_logits(logits, y, labels, groups)
    plot_metrics(found, "a$b$", tmp_path / "e.png")
    plot_confusion(found.confusion, found.labels, tmp_path / "c.png")
    with Image.open(tmp_path / "e.png") as picture:
        assert picture.width == 120 * 4.6 * (2 if groups is None else 3)
        assert 400 < picture.height < 1500
    with Image.open(tmp_path / "c.png") as picture:
        assert 500 < picture.width < 2500
