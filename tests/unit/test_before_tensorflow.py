"""Errors of the input are told before TensorFlow is loaded, which takes seconds.

Every case runs where TensorFlow and Keras cannot be imported.
"""

from __future__ import annotations

import json
import shutil
import sys
import zipfile

import numpy as np
import pytest

from convert.readers.open_source import open_source
from convert.readers.read_options import ReadOptions
from edge_runtime.errors import DataError, InputError, MissingExtraError
from tests.support.commands import ROOT

h5py = pytest.importorskip("h5py")

OLD = ROOT / "tests" / "data" / "old-keras"
MODEL, WINDOWS = OLD / "tf2_11-lstm.h5", OLD / "windows.npz"


@pytest.fixture(autouse=True)
def without_tensorflow(monkeypatch):
    for name in ("tensorflow", "keras"):
        monkeypatch.setitem(sys.modules, name, None)


def edited(folder, change):
    """A copy of an .h5 file with another config."""
    path = folder / "edited.h5"
    shutil.copy(MODEL, path)
    path.chmod(0o644)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        change(config["config"]["layers"])
        file.attrs["model_config"] = json.dumps(config)
    return path


def weights_only(folder):
    path = folder / "weights.h5"
    with h5py.File(MODEL, "r") as source, h5py.File(path, "w") as file:
        source.copy("model_weights", file)
    return path


def keras1(folder):
    path = edited(folder, lambda layers: None)
    with h5py.File(path, "r+") as file:
        file.attrs["keras_version"] = "1.2.2"
    return path


def with_lambda(folder):
    def change(layers):
        layers.insert(-1, {"class_name": "Lambda", "config": {"name": "double"}})

    return edited(folder, change)


def own_class(folder):
    def change(layers):
        layers[1].update(module="mine", class_name="Twice")

    return edited(folder, change)


def text(folder):
    path = folder / "text.h5"
    path.write_text("no model")
    return path


def archive(folder):
    path = folder / "empty.keras"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("readme.txt", "no model")
    return path


def other_folder(folder):
    path = folder / "exported"
    path.mkdir()
    (path / "saved_model.pb").write_bytes(b"")
    return path


def unchanged(folder):
    return MODEL


def missing(folder):
    return folder / "none.h5"


def short(folder):
    path = folder / "short.npz"
    np.savez(path, x=np.zeros((10, 29, 6), np.float32))
    return path


CASES = {
    "missing model": (missing, {}, "none.h5: no such file"),
    "missing data": (unchanged, {"data": "none.npz"}, "none.npz"),
    "a model for data": (unchanged, {"data": str(MODEL)}, "tf2_11-lstm.h5"),
    "labels": (unchanged, {"labels": ("a", "b")}, "--labels: expected 4 labels"),
    "shape": (unchanged, {"data": short}, "have shape [29, 6]. The model takes [30, 6]"),
    "weights only": (weights_only, {}, "holds weights only, or no model of Keras"),
    "keras 1": (keras1, {}, "was saved by Keras 1.2.2. Load it in Keras 2 and save it again"),
    "lambda": (with_lambda, {}, "layer 'double' (Lambda) is not supported"),
    "own class": (own_class, {}, "(Twice) is a class of your own"),
    "text": (text, {}, "text.h5: cannot be read as an HDF5 file"),
    "archive": (archive, {}, "empty.keras: cannot be read as a .keras archive"),
    "folder without layers": (other_folder, {}, 'tf_keras.models.load_model(folder).save("m.h5")'),
}


@pytest.mark.parametrize("case", CASES)
def test_error_is_told_without_tensorflow(tmp_path, case):
    make, options, sentence = CASES[case]
    options = {"data": str(WINDOWS), **options}
    if callable(options["data"]):
        options["data"] = options["data"](tmp_path)
    with pytest.raises((DataError, InputError)) as error:
        open_source(make(tmp_path), ReadOptions(**options))
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    "config",
    [
        [],
        {},
        {"class_name": "Sequential"},
        {"class_name": "Sequential", "config": 3},
        {"class_name": "Sequential", "config": {"layers": 3}},
        {"class_name": "Sequential", "config": {"layers": [3, {"class_name": "Dense"}]}},
        {"class_name": "Model", "config": {"layers": [], "output_layers": [[3, 0]], "input_layers": 0}},
    ],
)
def test_damaged_config(tmp_path, config):
    """It is refused at once, or nothing is known about it before TensorFlow is loaded."""
    path = tmp_path / "damaged.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises((DataError, MissingExtraError)):
        open_source(path, ReadOptions(data=str(WINDOWS)))


def test_tensorflow_is_asked_for_only_then(tmp_path):
    with pytest.raises(MissingExtraError, match="tensorflow"):
        open_source(MODEL, ReadOptions(data=str(WINDOWS)))
