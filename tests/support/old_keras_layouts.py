"""Run as a process: `old_keras_layouts.py FOLDER` writes models in the layouts of old releases.

tf_keras builds and saves each model, and its predictions go to FOLDER/NAME.npz (x, y). Then the file
is edited to what the named release wrote, after that release's own source.
"""

from __future__ import annotations

import io
import json
import sys
import zipfile
from pathlib import Path

import numpy as np

STEPS, FEATURES = 6, 3
NAMES = (
    "cudnn.h5",
    "keras22.h5",
    "branches.h5",
    "branches.keras",
    "folder",
    "tf23folder",
    "tf213.keras",
    "windows.keras",
)


def models(keras):
    """Name -> model. hard_sigmoid is Keras 2's."""
    layers = keras.layers
    hard = {"recurrent_activation": "hard_sigmoid"}

    def stack(*content):
        return keras.Sequential([keras.Input((STEPS, FEATURES)), *content])

    def nested():
        source = keras.Input((STEPS, FEATURES))
        inner = stack(layers.Dense(4, "hard_sigmoid"), layers.BatchNormalization())
        rows = layers.Bidirectional(layers.LSTM(4, return_sequences=True, **hard))(inner(source))
        return keras.Model(source, layers.Dense(3)(layers.GRU(3, reset_after=False, **hard)(rows)))

    def branches():
        source = keras.Input((STEPS, FEATURES))
        masked = layers.Masking(0.0)(source)
        first = layers.LSTM(4, return_sequences=True, **hard)(masked)
        second = layers.LSTM(4, return_sequences=True)(layers.Dense(4, "relu")(source))
        both = layers.Concatenate()([layers.Add()([first, second]), layers.Dense(4)(first)])
        return keras.Model(source, layers.Dense(3, "softmax")(layers.GRU(5)(both)))

    return {
        "cudnn.h5": stack(
            layers.LSTM(4, return_sequences=True), layers.Bidirectional(layers.GRU(3)), layers.Dense(3)
        ),
        "keras22.h5": nested(),
        "branches.h5": branches(),
        "branches.keras": branches(),
        "folder": nested(),
        "tf23folder": branches(),
        "windows.keras": stack(layers.Bidirectional(layers.GRU(4)), layers.Dense(3)),
        "tf213.keras": stack(
            *[layers.LSTM(4, return_sequences=True) for _ in range(3)], layers.GRU(4), layers.Dense(3)
        ),
    }


def cudnn(path: Path) -> None:
    """LSTM and GRU become CuDNNLSTM and CuDNNGRU, with weights converted by tf_keras itself."""
    import h5py
    from tf_keras.src.saving.legacy.hdf5_format import _convert_rnn_weights

    kept = ("name", "trainable", "units", "return_sequences", "return_state", "go_backwards", "stateful")

    def renamed(entry):
        inner = entry["config"].get("layer")
        if inner:
            entry["config"]["layer"] = renamed(inner)
        if entry["class_name"] in ("LSTM", "GRU"):
            config = {key: entry["config"][key] for key in kept}
            return {"class_name": f"CuDNN{entry['class_name']}", "config": config}
        return entry

    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"] = [renamed(entry) for entry in config["config"]["layers"]]
        file.attrs["model_config"] = json.dumps(config)
        for layer in file["model_weights"].attrs["layer_names"]:
            group = file["model_weights"][layer]
            names = list(group.attrs["weight_names"])
            for k in range(2, len(names), 3):  # layers of a kernel, a recurrent kernel and a bias
                kind = "CuDNNLSTM" if "lstm" in str(layer) else "CuDNNGRU"
                values = [np.asarray(group[name]) for name in names[k - 2 : k + 1]]
                converted = _convert_rnn_weights(type(kind, (), {})(), values)
                for name, value in zip(names[k - 2 : k + 1], converted):
                    del group[name]
                    group[name] = value


def keras22(path: Path) -> None:
    """Model and not Functional, a list for Sequential, no newer settings, text as bytes, split names,
    weights at the top (keras/engine/saving.py, network.py and sequential.py of Keras 2.2)."""
    import h5py

    newer = ("time_major", "groups", "ragged", "sparse")

    def older(entry):
        config = {key: value for key, value in entry["config"].items() if key not in newer}
        if "layer" in config:
            config["layer"] = older(config["layer"])
        if entry["class_name"] == "Sequential":
            first, *others = (older(item) for item in config["layers"])
            others[0]["config"]["batch_input_shape"] = first["config"]["batch_input_shape"]
            return {**entry, "config": others}
        if entry["class_name"] == "Functional":
            layers = [older(item) for item in config["layers"]]
            return {**entry, "class_name": "Model", "config": {**config, "layers": layers}}
        return {**entry, "config": config}

    with h5py.File(path, "r+") as file:
        config = older(json.loads(file.attrs["model_config"]))
        file.attrs["model_config"] = np.bytes_(json.dumps(config).encode())
        file.attrs["keras_version"] = np.bytes_(b"2.2.0")
        weights = file["model_weights"]
        names = [str(name).encode() for name in weights.attrs["layer_names"]]
        for name in list(weights):
            file.move(f"model_weights/{name}", name)
        del file["model_weights"]
        file.attrs["layer_names0"], file.attrs["layer_names1"] = names[:2], names[2:]


def tf213(path: Path) -> None:
    """The group's name up to Keras 2.13, which also counted each layer with weights twice."""

    def edit(file):
        file.move("layers", "_layer_checkpoint_dependencies")
        for number in (2, 1):
            file.move(
                f"_layer_checkpoint_dependencies/lstm_{number}",
                f"_layer_checkpoint_dependencies/lstm_{2 * number}",
            )

    _edit_archive(path, edit)


def windows(path: Path) -> None:
    """Paths as the first releases with archives joined them on Windows."""

    def edit(file):
        arrays = {}
        file["layers"].visititems(
            lambda name, item: arrays.update({name: np.asarray(item)} if hasattr(item, "shape") else {})
        )
        del file["layers"]
        for name, value in arrays.items():
            layer, number = name.split("/vars/")
            group = "_layer_checkpoint_dependencies\\" + layer.replace("/", "\\")
            file[f"{group}/vars/{number}"] = value

    _edit_archive(path, edit)


def _edit_archive(path, edit):
    import h5py

    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    buffer = io.BytesIO(content["model.weights.h5"])
    with h5py.File(buffer, "r+") as file:
        edit(file)
    content["model.weights.h5"] = buffer.getvalue()
    content["metadata.json"] = b'{"keras_version": "2.13.1"}'
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)


def tf23folder(path: Path) -> None:
    """The config in saved_model.pb (tensorflow/python/keras/saving/saved_model/save.py, 2.3)."""
    from tensorflow.core.protobuf import saved_model_pb2
    from tf_keras.protobuf import saved_metadata_pb2

    metadata, model = saved_metadata_pb2.SavedMetadata(), saved_model_pb2.SavedModel()
    metadata.ParseFromString((path / "keras_metadata.pb").read_bytes())
    model.ParseFromString((path / "saved_model.pb").read_bytes())
    for node in metadata.nodes:
        objects = model.meta_graphs[0].object_graph_def
        objects.nodes[node.node_id].user_object.metadata = node.metadata
    (path / "keras_metadata.pb").unlink()
    (path / "saved_model.pb").write_bytes(model.SerializeToString())


def main(folder: Path) -> None:
    import tf_keras

    rng = np.random.default_rng(0)
    for name, model in models(tf_keras).items():
        model.set_weights(
            [
                np.abs(rng.normal(0, 0.7, value.shape)) + 0.1
                if "variance" in weight.name
                else rng.normal(0, 0.7, value.shape)
                for weight, value in zip(model.weights, model.get_weights())
            ]
        )
        x = rng.normal(0, 1.5, (20, STEPS, FEATURES)).astype(np.float32)
        x[3, 2] = x[5, 4:] = 0  # rows that a mask hides
        np.savez(folder / f"{name}.npz", x=x, y=np.asarray(model(x)))
        np.savez(folder / f"{name}.data.npz", x=x, y=np.arange(20) % 3)
        model.save(folder / name, **({} if "." in name else {"save_format": "tf"}))
        edit = globals().get(name.split(".")[0])
        if edit is not None:
            edit(folder / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
