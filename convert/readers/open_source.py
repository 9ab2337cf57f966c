"""Opens whatever can be converted: a run directory, a user's own model, an exported file.

    kind              path
    None              a run directory, or a Keras model: .keras, .h5
    "keras"           a Keras model
    "tf1-basic-lstm"  a TensorFlow 1 checkpoint
    "onnx"            an ONNX model: .onnx
    "torch"           a PyTorch state dict: .pt, .pth

A reader has the signature `(path, data, **options) -> Source`; it is imported when it is needed.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from convert.readers.user_data import DataSource
from convert.source_model.source_model import Source, open_run
from edge_runtime.errors import InputError

READERS = {
    "keras": "convert.readers.keras.source:keras_source",
    "onnx": "convert.readers.onnx.source:onnx_source",
    "tf1-basic-lstm": "convert.readers.tf1:tf1_source",
    "torch": "convert.readers.torch.source:torch_source",
}
"""Kind -> module and function, for everything that is no run directory."""

SUFFIXES = {
    ".keras": "keras",
    ".h5": "keras",
    ".hdf5": "keras",
    ".onnx": "onnx",
    ".pt": "torch",
    ".pth": "torch",
}
"""What a file's name says of its kind where none is given."""

OWN_OPTIONS = {"onnx_output": "onnx", "torch_last": "torch"}
"""Options of one kind only."""


def open_source(
    path: Any, *, kind: str | None = None, data: DataSource | None = None, **options: Any
) -> Source:
    """The Source at `path`, a file, a folder or a checkpoint's prefix; or of a Keras model object.

    `kind` is one of READERS; None: a run directory, or by the file's suffix. `data`: the windows, for
    everything but a run directory. `options` are those of `source_model.source_model.open_run` and
    `readers.user_source.user_source`. Raises InputError for a path that is nothing of the kind or data
    that is missing, and what the reader raises.
    """
    kind = kind or _kind(path)
    for option, owner in OWN_OPTIONS.items():
        if option in options and kind != owner:
            raise InputError(f"--{option.replace('_', '-')} goes with --{owner}: leave it out here")
    if kind is None and data is not None and not Path(path).exists():
        raise InputError(f"{path}: no such file or folder")
    if kind is None:
        if data is not None or options.pop("labels", ()):
            raise InputError(
                f"{path}: a run directory has its own windows and labels: leave out --data and --labels"
            )
        return open_run(path, **options)
    if kind not in READERS:
        raise InputError(f"{kind}: unknown kind of model: expected {', '.join(READERS)}")
    if data is None:
        raise InputError(
            f"{path if isinstance(path, (str, Path)) else 'the model'}: --data is missing: an .npz file "
            "with windows x [N, steps, features] as the model takes them, and their classes y [N]"
        )
    module, function = READERS[kind].split(":")
    source: Source = getattr(import_module(module), function)(path, data, **options)
    return source


def _kind(path: Any) -> str | None:
    """None: a run directory."""
    if not isinstance(path, (str, Path)):
        return "keras"
    file = Path(path)
    if (file / "saved_model.pb").is_file():
        raise InputError(f"{path}: a SavedModel: save the model as .keras and convert that")
    if file.is_dir():
        return None
    if file.suffix.lower() in SUFFIXES:
        return SUFFIXES[file.suffix.lower()]
    if Path(f"{path}.index").is_file():
        raise InputError(
            f"{path}: a TensorFlow checkpoint: of TensorFlow 1's BasicLSTMCell with --tf1-basic-lstm"
        )
    if not file.exists():
        return None
    raise InputError(
        f"{path}: not known by its name: expected a run directory, {', '.join(SUFFIXES)}, or an option "
        "that says what it is"
    )
