"""The description of a sweep, and the Pareto front."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_runtime.errors import InputError
from edge_runtime.runs.labelled_windows import LabelledWindows
from train.dataset import Dataset
from train.hyperparameters import preset
from train.sweep.front import pareto_front
from train.sweep.search_space import Choices, NumberRange
from train.sweep.spec import read_spec
from train.sweep.training_folds import training_folds

VALID = """
[data]
path = "recordings"
label_column = "activity"
feature_columns = ["x", "y"]

[train]
preset = "sensor"
iterations = 200

[convert]
target = "tflite-runtime-2.14"

[search]
cell = ["lstm", "gru"]
units = [16, 32]
layers = { low = 1, high = 3 }
window = [64, 128]
hop = [32]
precision = ["int8", "mixed"]
learning_rate = { low = 0.001, high = 0.01, log = true }
augment = [[], ["jitter", "scale=0.1"]]

[sweep]
trials = 40
seed = 3
cost = "size"
"""

SEARCH = "[data]\npath = 'd'\n[sweep]\ntrials = 4\n[search]\n"

BROKEN = {
    "not TOML": ("units = ", "not TOML ("),
    "unknown table": (
        "[serach]",
        "has the unknown key 'serach'. Choose data, train, convert, search, sw",
    ),
    "table": ("data = 3", "[data]: expected a table, found 3."),
    "no path": ("[search]\nunits = [4]", "[data] has no path. Name a data set, as for --data."),
    "data key": (
        "[data]\nwindows = 3",
        "[data]: has the unknown key 'windows'. Choose path, data_dir, w",
    ),
    "data type": ("[data]\nwindow = 'a'", "[data] window: is 'a'. Expected a whole number."),
    "data list": ("[data]\nfeature_columns = 'a'", "feature_columns: is 'a'. Expected a list of texts."),
    "train key": (
        "[train]\nunit = 3",
        "[train]: has the unknown key 'unit'. Choose preset, cell, units,",
    ),
    "train type": ("[train]\ndropout = true", "[train] dropout: is True. Expected a number."),
    "units type": ("[train]\nunits = [4, 'a']", "units: is [4, 'a']. Expected a whole number or a list"),
    "preset": (
        SEARCH + "units = [4]\n[train]\npreset = 'big'",
        "[train] preset: cannot be 'big'. Choose default",
    ),
    "convert key": (
        "[convert]\nout = 'm'",
        "[convert]: has the unknown key 'out'. Choose precision, tar",
    ),
    "sweep key": ("[sweep]\ntrial = 3", "[sweep]: has the unknown key 'trial'. Choose trials, seed"),
    "sweep type": ("[sweep]\ntrials = 3.5", "[sweep] trials: is 3.5. Expected a whole number."),
    "no trials": (
        "[data]\npath = 'd'\n[search]\nunits = [4]",
        "[sweep]: has no trials. Expected at least 1.",
    ),
    "few folds": (
        SEARCH.replace("4", "4\nfolds = 1") + "units = [4]",
        "[sweep]: 1 is too small for folds. Expected at least 2.",
    ),
    "cost": (
        SEARCH.replace("4", "4\ncost = 'time'") + "units = [4]",
        "[sweep] cost: cannot be 'time'. Choose latency, instructions, size.",
    ),
    "sampler": (
        SEARCH.replace("4", "4\nsampler = 'grid'") + "units = [4]",
        "[sweep] sampler: cannot be 'grid'. Choose tpe, nsga2, random.",
    ),
    "no search": (SEARCH, "[search]: has no key. Choose cell, units, "),
    "search key": (SEARCH + "unit = [3]", "[search]: has the unknown key 'unit'. Choose cell, units"),
    "search table": ("search = 3", "[search]: expected a table, found 3."),
    "seed": (
        SEARCH + "seed = [1, 2]",
        "[search] seed: changes the windows that judge. Set it in [train]",
    ),
    "single": (
        SEARCH + "units = 4",
        "[search] units: expected a list of values or a table with low and",
    ),
    "empty": (SEARCH + "units = []", "[search] units: expected a list of values or a table"),
    "item type": (SEARCH + "units = [4, 0.5]", "units: found 0.5 in the list. Expected a whole number"),
    "twice": (SEARCH + "units = [4, 4]", "[search] units: a value stands there twice. Name each once."),
    "item range": (SEARCH + "units = [4, 0]", "[search] units: expected at least 1, found 0."),
    "item choice": (
        SEARCH + "cell = ['lstm', 'elman']",
        "[search] cell: cannot be 'elman'. Choose lstm,",
    ),
    "no range": (SEARCH + "cell = {low = 1, high = 2}", "[search] cell: has no range. Expected a list"),
    "range key": (
        SEARCH + "units = {low = 1, hi = 2}",
        "units: has the unknown key 'hi'. Choose low, h",
    ),
    "range half": (SEARCH + "units = {low = 1}", "[search] units: has no high. Add it."),
    "range type": (SEARCH + "units = {low = 1, high = 2.5}", "units: high is 2.5. Expected a whole num"),
    "range order": (SEARCH + "units = {low = 9, high = 4}", "low is 9 and high 4. Expected low < high."),
    "range log": (
        SEARCH + "dropout = {low = 0, high = 0.5, log = true}",
        "[search] dropout: low is 0. With log = true, expected a number above 0.",
    ),
    "range infinite": (SEARCH + "dropout = {low = 0, high = inf}", "high is inf. Expected a number."),
    "range value": (
        SEARCH + "dropout = {low = 0, high = 1.5}",
        "[search] dropout: expected at least 0 and below 1, found 1.5.",
    ),
    "fixed too": (
        SEARCH + "units = [4]\n[train]\nunits = 3",
        "[search] units: is set elsewhere too. Leave one of them out.",
    ),
    "fixed value": (
        SEARCH + "units = [4]\n[train]\ndropout = 2",
        "[train] dropout: expected at least 0 and below 1, found 2.",
    ),
    "hop alone": (SEARCH + "hop = [4]", "[search] hop: goes with --window."),
    "layers, list": (SEARCH + "layers = [2]\nunits = [[4, 5, 6]]", "[search] layers: "),
    "epochs": (
        SEARCH + "units = [4]\n[train]\nepochs = 3\niterations = 30",
        "[train] epochs: has no meaning with iterations. Leave one of them out.",
    ),
}
"""What is wrong -> the file, and a part of the sentence."""


def spec_of(tmp_path, text):
    path = tmp_path / "SPEC.toml"
    path.write_text(text)
    return read_spec(path)


def test_a_whole_spec(tmp_path):
    spec = spec_of(tmp_path, VALID)
    assert spec.search["cell"] == Choices(("lstm", "gru"))
    assert spec.search["layers"] == NumberRange(1, 3, log=False, whole=True)
    assert spec.precisions == ("int8", "mixed")
    values = {"cell": "gru", "units": 16, "layers": 2, "window": 64, "hop": 32, "precision": "mixed"}
    chosen = spec.configuration({**values, "learning_rate": 0.002, "augment": ["jitter"]})
    expected = preset("sensor", cell="gru", units=(16, 16), iterations=200, learning_rate=0.002)
    assert chosen.hyperparameters == preset("sensor", **{**vars(expected), "augment": ("jitter",)})
    assert (chosen.options.window, chosen.options.hop, chosen.precision) == (64, 32, "mixed")
    assert chosen.options.feature_columns == ("x", "y")


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_wrong_in_a_spec(tmp_path, case):
    text, sentence = BROKEN[case]
    with pytest.raises(InputError) as caught:
        spec_of(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'SPEC.toml'}: ")
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_spec_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"none\.toml: cannot read the sweep's description \(No such"):
        read_spec(tmp_path / "none.toml")


def test_only_what_trials_depend_on_is_compared(tmp_path):
    spec = spec_of(tmp_path, VALID)
    assert spec_of(tmp_path, VALID.replace("= 40", "= 80")).fingerprint == spec.fingerprint
    assert spec_of(tmp_path, VALID.replace("= 200", "= 201")).fingerprint != spec.fingerprint


few = st.integers(0, 3)  # many equal and dominated points
points = st.integers(1, 3).flatmap(
    lambda count: st.lists(st.tuples(*[few] * count), min_size=1, max_size=12)
)


@settings(suppress_health_check=[HealthCheck.too_slow])  # on a machine that does other work
@given(points, st.data())
def test_the_front_is_what_no_other_point_beats(found, data):
    choice = st.sampled_from(["maximize", "minimize"])
    directions = data.draw(st.tuples(*[choice] * len(found[0])))

    def at_least(a, b):
        return all(x >= y if d == "maximize" else x <= y for x, y, d in zip(a, b, directions))

    front = pareto_front(found, directions)
    expected = [
        position
        for position, point in enumerate(found)
        if not any(at_least(other, point) and other != point for other in found)
        and found.index(point) == position
    ]
    assert front == expected


def dataset_of(groups=None, count=60):
    """Windows of three classes, each with its number as its value."""
    y = np.arange(count) % 3
    x = np.arange(count, dtype=np.float32).reshape(-1, 1, 1)
    test = LabelledWindows(x[:3] - 99, y[:3])
    return Dataset("d", LabelledWindows(x, y, groups), test, ("a", "b", "c"), image=False)


@pytest.mark.parametrize("groups", [None, np.array(list("pqrst")).repeat(12)])
def test_folds_cover_the_training_split_once_and_no_test_window(groups):
    dataset = dataset_of(groups)
    folds = training_folds(dataset, 4, "SPEC")
    tested = np.concatenate([fold.test.x.ravel() for fold in folds])
    assert sorted(tested) == list(range(60))
    for fold in folds:
        assert sorted([*fold.train.x.ravel(), *fold.test.x.ravel()]) == list(range(60))
        if groups is not None:
            assert not {*fold.train.groups} & {*fold.test.groups}


def test_more_folds_than_groups():
    with pytest.raises(InputError, match=r"^SPEC: 3 is more than the 2 groups of the training split"):
        training_folds(dataset_of(np.array(list("pq")).repeat(30)), 3, "SPEC")


def test_a_class_of_one_group_cannot_be_folded():
    with pytest.raises(InputError, match=r"^SPEC: a fold would have all windows of class a"):
        training_folds(dataset_of(np.array(list("pqr") * 20)), 3, "SPEC")
