"""Every supported Keras layer and option: the model's own predictions against the converted network.

Keras runs in a process of its own (keras_zoo.py). The tests run the float graph in numpy and in the
engines.
"""

from __future__ import annotations

import pickle
from importlib.util import find_spec

import numpy as np
import pytest

from convert.compiler.compile import compile_network
from convert.compiler.float_graph.unroll import unroll
from edge_runtime.numpy_engine.interpret import run
from tests.support.command_server import run_python
from tests.support.commands import ENGINES, succeed
from tests.support.engines import invoke
from tests.support.keras_zoo import NIGHTLY_OF_KERAS2, zoo

TOLERANCE = 1e-4  # float32 in another order of summation


class Names:
    """Stands for keras when only the names in the zoo are needed."""

    def __getattr__(self, name):
        return Names()

    def __call__(self, *arguments, **options):
        return Names()


NAMES = list(zoo(Names()))

NAMES_OF_KERAS2 = [
    pytest.param("nightly", name, marks=pytest.mark.nightly, id=name)
    if name in NIGHTLY_OF_KERAS2
    else pytest.param("daily", name, id=name)
    for name in NAMES
]


def _child(*arguments):
    succeed(run_python("from tests.support.keras_zoo import main; main()", *arguments))


def _load(folder, file="zoo.pkl"):
    return pickle.loads((folder / file).read_bytes())


@pytest.fixture(scope="module")
def keras3(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keras3")
    _child(folder)
    return _load(folder)


def _keras2(tmp_path_factory, part):
    """What was read from the files of Keras 2, and from its objects."""
    if find_spec("tf_keras") is None:
        pytest.skip("tf_keras is not installed")
    folder = tmp_path_factory.mktemp("keras2")
    suffixes = (".keras", ".h5")  # in turn
    _child(folder, "tf_keras", part, *suffixes)
    _child(folder, "keras", part, *suffixes)
    return _load(folder), _load(folder, "objects.pkl")


@pytest.fixture(scope="module")
def keras2_daily(tmp_path_factory):
    return _keras2(tmp_path_factory, "daily")


@pytest.fixture(scope="module")
def keras2_nightly(tmp_path_factory):
    return _keras2(tmp_path_factory, "nightly")


def _predicted(logits, function):
    """The predictions of a Keras model with that function at its end, from the network's logits."""
    if function == "linear":
        return logits
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    return probabilities[:, 1:] if function == "sigmoid" else probabilities


@pytest.mark.parametrize("name", NAMES)
def test_keras3_model_and_network_agree(keras3, name):
    assert np.ptp(keras3[name][2], axis=0).max() > 0.01  # the windows make a difference
    check_predictions(keras3[name])


@pytest.mark.parametrize(("part", "name"), NAMES_OF_KERAS2)
def test_files_of_keras2_give_its_own_predictions(request, part, name):
    files, _ = request.getfixturevalue(f"keras2_{part}")
    check_predictions(files[name])


@pytest.mark.parametrize(("part", "name"), NAMES_OF_KERAS2)
def test_objects_of_keras2_give_their_own_predictions(request, part, name):
    _, objects = request.getfixturevalue(f"keras2_{part}")
    check_predictions(objects[name])


def check_predictions(case):
    network, windows, predictions, function, logits = case
    graph_logits = run(unroll(network), windows)
    np.testing.assert_allclose(_predicted(graph_logits, function), predictions, atol=TOLERANCE)
    np.testing.assert_allclose(graph_logits, logits, atol=TOLERANCE)


@pytest.mark.parametrize("engine", ENGINES)
def test_engines_agree_with_keras(keras3, engine):
    for name in ("gru reset before", "bidirectional sequences", "conv1d same", "layer normalization"):
        network, windows, _, _, logits = keras3[name]
        flatbuffer = compile_network(network, windows, precision="float32")
        np.testing.assert_allclose(invoke(flatbuffer, windows, engine), logits, atol=TOLERANCE)
