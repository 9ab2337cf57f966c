"""Opens whatever can be converted: a run directory, a user's own model, an exported file.

    kind              path
    None              a run directory
    "keras"           a Keras model: .keras, .h5, .hdf5, a SavedModel folder, or a model object
    "tf1-basic-lstm"  a TensorFlow 1 checkpoint
    "onnx"            an ONNX model: .onnx
    "torch"           a PyTorch state dict: .pt, .pth

A reader has the signature `(path, options: ReadOptions) -> SourceModel`. It is imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from convert.readers.read_options import MISSING_DATA, ReadOptions
from convert.source_model.source_model import SourceModel
from edge_runtime.errors import InputError

RUN_READER = "convert.readers.run_directory:open_run"

READERS = {
    "keras": "convert.readers.keras.source:keras_source",
    "onnx": "convert.readers.onnx.source:onnx_source",
    "tf1-basic-lstm": "convert.readers.tf1:tf1_source",
    "torch": "convert.readers.torch.source:torch_source",
}
"""Kind -> module and function, for every model that is not a run directory."""

SUFFIXES = {
    ".keras": "keras",
    ".h5": "keras",
    ".hdf5": "keras",
    ".onnx": "onnx",
    ".pt": "torch",
    ".pth": "torch",
}
"""Suffix of a file's name -> kind, where none is given."""

OWN_OPTIONS = {"onnx_output": "onnx", "torch_last": "torch", "forget_bias": "tf1-basic-lstm"}
"""Option -> the only kind that it is for."""


def open_source(path: Any, options: ReadOptions) -> SourceModel:
    """Read the model at `path`: a file, a folder, a checkpoint's prefix, or a Keras model object.

    Raises what `kind_of` and the reader raise.
    """
    kind = kind_of(path, options)
    module, function = (RUN_READER if kind is None else READERS[kind]).split(":")
    source: SourceModel = getattr(import_module(module), function)(path, options)
    return source


def kind_of(path: Any, options: ReadOptions) -> str | None:
    """The kind of model at `path`, one of READERS; None for a run directory. Opens no file.

    Raises InputError for an unknown kind, for options that contradict each other or the kind, and for
    a path whose name does not tell the kind.
    """
    if options.kind is not None and options.kind not in READERS:
        raise InputError(f"--{options.kind}: unknown kind of model. Choose {', '.join(READERS)}.")
    kind = options.kind or _kind_by_name(path)
    for name, owner in OWN_OPTIONS.items():
        if getattr(options, name) is not None and kind != owner:
            option = name.replace("_", "-")
            raise InputError(f"--{option}: is for a model read with --{owner} only. Leave it out.")
    _check_goes_with_data(options)
    if kind is None and options.data is not None:
        if not Path(path).exists():
            raise InputError(f"{path}: no such file or folder.")
        raise InputError(
            f"{path}: a run directory has its own windows and labels. Leave out --data and --labels."
        )
    if kind is not None and options.data is None:
        where = path if isinstance(path, (str, Path)) else "the model"
        raise InputError(f"{where}: {MISSING_DATA}")
    return kind


def _check_goes_with_data(options: ReadOptions) -> None:
    for name in ("labels", "task"):
        if getattr(options, name) and options.data is None:
            raise InputError(f"--{name}: goes with --data. Leave it out for a run directory.")


def _kind_by_name(path: Any) -> str | None:
    """None: a run directory, or nothing."""
    if not isinstance(path, (str, Path)):
        return "keras"
    file = Path(path)
    if (file / "saved_model.pb").is_file():
        return "keras"
    if file.is_dir():
        return None
    if file.suffix.lower() in SUFFIXES:
        return SUFFIXES[file.suffix.lower()]
    if Path(f"{path}.index").is_file():
        raise InputError(
            f"{path}: is a TensorFlow checkpoint. Pass --tf1-basic-lstm if its model is TensorFlow 1's "
            "BasicLSTMCell."
        )
    if not file.exists():
        return None
    raise InputError(
        f"{path}: cannot tell the model format from the file name. Expected a run directory, "
        f"{', '.join(SUFFIXES)}, or an option such as --onnx."
    )
