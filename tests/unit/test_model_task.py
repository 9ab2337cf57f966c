"""What tells a model's task: its head, its loss, the data, --task. And the errors of numbers."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest

from convert.options import ConversionOptions
from convert.proof.output_errors import output_errors, output_spreads
from convert.readers.classifier_head import logits_of, output_of, split_head
from convert.readers.keras.saved_loss import loss_in_file, loss_named
from convert.readers.model_task import TaskHints, task_of
from convert.readers.user_data import read_user_data
from convert.source_model.network import Activation, Dense
from convert.targets.precision import PRECISIONS
from edge_runtime.errors import DataError, InputError
from edge_runtime.model_file.binomial import NOT_REFUTED, PROVEN, REFUTED
from edge_runtime.model_file.number_parity import ErrorBudget, error_limits, judge_error

TOLD = [
    # head, outputs, hints, task
    ("softmax", 3, {}, "classification"),
    ("softmax", 3, {"loss": "meansquarederror"}, "classification"),
    ("softmax", 3, {"asked": "regression"}, "regression"),
    ("sigmoid", 1, {}, "classification"),
    ("sigmoid", 3, {"asked": "regression"}, "regression"),
    ("linear", 3, {"loss": "sparsecategoricalcrossentropy"}, "classification"),
    ("linear", 15, {"loss": "mae"}, "regression"),
    ("linear", 15, {"loss": "mae", "labels": 15}, "regression"),
    ("linear", 1, {"loss": "meansquarederror"}, "regression"),
    ("linear", 1, {"loss": "binarycrossentropy"}, "classification"),
    ("linear", 8, {"loss": "cosinesimilarity"}, "embedding"),
    ("linear", 3, {"y": "classes"}, "classification"),
    ("linear", 3, {"labels": 3}, "classification"),
    ("linear", 3, {"y": "values", "labels": 3}, "regression"),
    ("linear", 1, {"y": "values"}, "regression"),
    ("linear", 1, {"y": "classes", "two_classes": True}, "classification"),
    ("linear", 1, {"y": "classes"}, "regression"),
    ("linear", 8, {"asked": "embedding"}, "embedding"),
]


@pytest.mark.parametrize(("function", "outputs", "hints", "task"), TOLD)
def test_the_task_is_told(function, outputs, hints, task):
    assert task_of(function, outputs, TaskHints(**hints)) == task


@pytest.mark.parametrize("outputs", [1, 3])
def test_the_task_is_asked_for_where_nothing_tells(outputs):
    with pytest.raises(InputError, match="--task: is missing.*Choose classification, regression or"):
        task_of("linear", outputs, TaskHints())


@pytest.mark.parametrize("hints", [{}, {"asked": "classification"}])
def test_several_labels_at_a_time_are_refused(hints):
    with pytest.raises(DataError, match="3 outputs with sigmoid.*--task regression"):
        task_of("sigmoid", 3, TaskHints(**hints))


def _dense(outputs, activation="linear"):
    return Dense("head", np.ones((outputs, 2), np.float32), np.zeros(outputs, np.float32), activation)


def test_the_head_of_numbers_is_kept():
    layers = [_dense(3, "sigmoid"), Activation("soft", "softmax")]
    assert split_head(layers, 3, TaskHints("regression")) == (layers, "linear", "regression")
    assert split_head(layers, 3)[1:] == ("softmax", "classification")


def test_the_logit_of_a_binary_classifier_becomes_two():
    (layer,), function, task = split_head([_dense(1)], 1, TaskHints(loss="binarycrossentropy"))
    assert (function, task, len(layer.bias)) == ("logit", "classification", 2)
    values = np.array([[-1.0], [2.0]], np.float32)
    np.testing.assert_array_equal(logits_of(values, function), [[0, -1], [0, 2]])
    np.testing.assert_array_equal(output_of(values, function), values)


class _Quantile:
    """A loss of one's own."""


@pytest.mark.parametrize(
    ("loss", "spelled"),
    [
        (None, None),
        ("mae", "mae"),
        (["mean_squared_error"], "meansquarederror"),
        ({"out": "mse"}, "mse"),
        ({"a": "mse", "b": "mse"}, None),
        ({"class_name": "Huber", "config": {"delta": 1.0}}, "huber"),
        ({"class_name": "function", "config": "categorical_crossentropy"}, "categoricalcrossentropy"),
        (_Quantile(), None),
        ("my_own_loss", None),
    ],
)
def test_losses_are_known_in_every_spelling(loss, spelled):
    assert loss_named(loss) == spelled


def test_the_loss_in_a_file_that_is_none(tmp_path):
    path = tmp_path / "m.keras"
    path.write_bytes(b"nothing")
    assert loss_in_file(path) is None
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps({"compile_config": None}))
    assert loss_in_file(path) is None


@pytest.mark.parametrize(
    ("y", "kind"),
    [
        (np.arange(10) % 3, "classes"),
        (np.linspace(0, 1, 10), "values"),
        (np.zeros((10, 4)), "values"),
        (np.eye(10, dtype=int), "values"),
    ],
)
def test_y_are_classes_or_values(y, kind):
    data = read_user_data({"x": np.zeros((10, 5, 3)), "y": y})
    assert data.y_kind == kind
    assert data.labelled == (kind == "classes")


@pytest.mark.parametrize("y", [np.zeros(9), np.full(10, np.nan), np.array(["a"] * 10)])
def test_y_that_are_neither_are_refused(y):
    with pytest.raises(DataError, match="y "):
        read_user_data({"x": np.zeros((10, 5, 3)), "y": y})


def test_errors_are_those_of_the_worst_output_in_its_own_spread():
    rng = np.random.default_rng(0)
    full = rng.normal(0, [40, 0.1], (2000, 2)).astype(np.float32) + np.float32(1000)
    found = full + np.array([0.4, 0.05], np.float32)
    result = output_errors(found, full, ("pressure", "ratio"), "regression")
    assert result.worst_output == "ratio"
    np.testing.assert_allclose(result.error, 0.5, rtol=0.05)
    np.testing.assert_allclose(result.worst_rmse, 0.05, rtol=0.01)
    assert result.min_cosine is None


def test_an_embedding_has_one_spread_and_cosines():
    full = np.array([[3, 0, 0], [0, 4, 0], [-3, 0, 0]], np.float32)
    spreads = output_spreads(full, "embedding")
    np.testing.assert_allclose(spreads, np.sqrt(np.square(full.std(axis=0)).mean()))
    result = output_errors(full[:, [1, 0, 2]], full, ("a", "b", "c"), "embedding")
    assert result.mean_cosine == result.min_cosine == 0
    assert output_errors(2 * full, full, ("a", "b", "c"), "embedding").min_cosine == 1


def test_an_output_that_never_changes_is_measured_by_its_size():
    full = np.tile(np.array([5, 0], np.float32), (10, 1))
    np.testing.assert_array_equal(output_spreads(full, "regression"), [5, 1])


def test_the_limits_of_an_error_hold():
    """Of 2,000 proofs on 27 normal differences, about 5 % have a limit on the wrong side."""
    rng = np.random.default_rng(0)
    errors = np.sqrt(np.square(rng.normal(0, 1, (2000, 27))).mean(axis=1))
    limits = np.array([error_limits(error, 27) for error in errors])
    assert 0.035 < (limits[:, 0] > 1).mean() < 0.065
    assert 0.035 < (limits[:, 1] < 1).mean() < 0.065


def test_an_error_is_judged():
    assert judge_error(0.04, 10_000, 0.05) == PROVEN
    assert judge_error(0.048, 27, 0.05) == NOT_REFUTED
    assert judge_error(0.052, 27, 0.05) == NOT_REFUTED
    assert judge_error(0.052, 10_000, 0.05) == REFUTED
    assert judge_error(float("nan"), 10_000, 0.05) != PROVEN


@pytest.mark.parametrize(
    ("task", "option", "own"),
    [
        ("classification", {"max_error": 0.1}, "--min-agreement"),
        ("classification", {"min_cosine": 0.9}, "--min-agreement"),
        ("regression", {"min_agreement": 0.9}, "--max-error"),
        ("regression", {"min_cosine": 0.9}, "--max-error"),
        ("embedding", {"max_logit_difference": 0.1}, "--max-error"),
    ],
)
def test_a_budget_of_another_task_is_refused(task, option, own):
    (name,) = option
    sentence = f"--{name.replace('_', '-')}: does not go with the task {task}. Use {own}."
    with pytest.raises(InputError, match=sentence):
        ConversionOptions(**option).check_task(task)


def test_each_task_has_its_budget():
    options, int8 = ConversionOptions(max_error=0.02), PRECISIONS["int8"]
    assert options.budget(int8, "regression") == ErrorBudget(0.02)
    assert options.budget(int8, "embedding") == ErrorBudget(0.02, int8.number_budget.min_cosine)
    assert options.budget(int8) == int8.budget
