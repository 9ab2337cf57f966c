"""Golden vectors: windows with a model file's exact inputs and outputs, to be replayed elsewhere.

    raw.npy, raw.csv            the windows `[N, steps, features]` in the unit of the data
    inputs.npy, inputs.csv      what the input tensor holds: normalized, and quantized if it is integer
    outputs.npy, outputs.csv    what the output tensor holds afterwards `[N, classes]`
    logits.npy, logits.csv      the same as real numbers, float32
    NAME_vectors.h              all of them for C
    NAME_replay.c               a program that compares them with exported C
    vectors.json                the model, the engine, the positions of the windows

A line of a CSV file is a window, its values row by row. The outputs are those of native's plain kernels,
which exported C (edge-rnn export-c) gives bit for bit.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.c_export.c_text import array_text, filled, nested_array
from convert.c_export.expected_logits import outputs_of_window
from convert.c_export.export import c_name
from convert.c_export.model_sources import RAW_C_TYPES
from convert.evidence.record import Evidence
from edge_runtime import __version__
from edge_runtime.engines.engine import NATIVE, NUMPY, Interpreter, open_interpreter
from edge_runtime.errors import EngineError, InputError
from edge_runtime.host.atomic_file import move_into_place
from edge_runtime.inference.tensors import InputTensor
from edge_runtime.model_file.metadata import STEP
from edge_runtime.model_file.read_file import ModelFile, read_model_file
from edge_runtime.tflite.quantization import dequantize

GOLDEN_WINDOWS = 20
"""How many windows: the ten worst ones, and others evenly over the data."""

RECORD_FILE = "vectors.json"
"""By it a folder is known as one with vectors."""

EXACT_FLOAT = "%.9g"
"""Enough digits for every float32."""

C_NUMBERS = {
    "float32": "float",
    "uint8": "uint8_t",
    "int8": "int8_t",
    "int16": "int16_t",
    "int32": "int32_t",
}


@dataclass(frozen=True, eq=False)
class GoldenVectors:
    """The vectors of one model file."""

    name: str
    """What all names in the C header start with."""
    positions: tuple[int, ...]
    raw: NDArray[Any]
    inputs: NDArray[Any]
    outputs: NDArray[Any]
    logits: NDArray[np.float32]
    engine: str

    def arrays(self) -> dict[str, NDArray[Any]]:
        """File name without suffix -> array."""
        return {"raw": self.raw, "inputs": self.inputs, "outputs": self.outputs, "logits": self.logits}


def golden_vectors(
    path: str | Path, windows: NDArray[Any], positions: Sequence[int]
) -> tuple[ModelFile, GoldenVectors]:
    """The file at `path` and its vectors for raw `windows` `[N, steps, features]`."""
    file = read_model_file(path)
    engine, interpreter = _exact_engine(file.flatbuffer)
    outputs = np.stack([outputs_of_window(interpreter, window, file.metadata) for window in windows])
    affine = interpreter.get_output_details()[0]["quantization"]
    return file, GoldenVectors(
        name=c_name(path),
        positions=tuple(positions),
        raw=windows,
        inputs=np.stack([_input_of(interpreter, window, file) for window in windows]),
        outputs=outputs,
        logits=outputs if outputs.dtype == np.float32 else dequantize(outputs, *affine),
        engine=engine,
    )


def write_vectors(
    folder: str | Path, evidence: Evidence, windows: NDArray[Any], positions: NDArray[np.int64]
) -> list[Path]:
    """Write the vectors of every model of the record, each to a folder of its own in `folder`.

    `windows`: all compared windows, `positions`: theirs in the data. Each folder appears whole or not
    at all, and replaces only an earlier one of vectors. Raises InputError for any other that exists.
    """
    written = []
    for model in evidence.models:
        worst = (item.window for result in model.results for item in result.worst)
        indices = choose_vectors(positions, worst)
        target = Path(folder) / Path(model.name).stem
        write_model_vectors(target, model.path, windows[indices], positions[indices].tolist())
        written.append(target)
    return written


def write_model_vectors(
    folder: Path, path: str | Path, windows: NDArray[Any], positions: Sequence[int]
) -> None:
    """Write the vectors of the file at `path` for raw `windows`, at `positions` in the data."""
    file, vectors = golden_vectors(path, windows, positions)
    _write_folder(folder, vectors, file)


def choose_vectors(positions: NDArray[np.int64], worst: Iterable[int]) -> list[int]:
    """Indices of at most GOLDEN_WINDOWS compared windows: the worst ones, and others evenly between."""
    place = {int(position): index for index, position in enumerate(positions)}
    first = list(dict.fromkeys(place[window] for window in worst))[: GOLDEN_WINDOWS // 2]
    left = GOLDEN_WINDOWS - len(first)
    spread = np.linspace(0, len(positions) - 1, left).round().astype(int).tolist()
    return sorted({*first, *spread})


def check_vectors_folder(folder: str | Path, models: Iterable[str | Path]) -> None:
    """Raises InputError for models of the same name, and for a folder that something else is in."""
    stems = [Path(model).stem for model in models]
    if len(set(stems)) < len(stems):
        raise InputError(f"{folder}: two models have the same name. Write the vectors of one at a time.")
    for stem in stems:
        target = Path(folder) / stem
        free = not target.exists() or (target.is_dir() and not any(target.iterdir()))
        if not free and not (target / RECORD_FILE).is_file():
            raise InputError(f"{target}: exists and holds no vectors. Choose another --vectors.")


def _exact_engine(flatbuffer: bytes) -> tuple[str, Interpreter]:
    try:
        return f"{NATIVE} plain", open_interpreter(flatbuffer, engine=NATIVE, kernels="plain")
    except EngineError:
        return NUMPY, open_interpreter(flatbuffer, engine=NUMPY)


def _input_of(interpreter: Interpreter, window: NDArray[Any], file: ModelFile) -> NDArray[Any]:
    """The values of the input tensor for a window `[steps, features]`; of a step file row by row."""
    tensor = InputTensor(interpreter.get_input_details()[0], file.metadata.normalization)
    filled_parts = []
    for part in window if file.metadata.graph == STEP else [window]:
        tensor.fill(part)
        filled_parts.append(tensor.values.reshape(-1, file.metadata.features).copy())
    return np.concatenate(filled_parts)


def _write_folder(target: Path, vectors: GoldenVectors, file: ModelFile) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        for name, values in vectors.arrays().items():
            np.save(temporary / f"{name}.npy", values)
            shape = EXACT_FLOAT if values.dtype.kind == "f" else "%d"
            np.savetxt(temporary / f"{name}.csv", values.reshape(len(values), -1), shape, ",")
        for name, text in c_texts(vectors, file).items():
            (temporary / name).write_text(text, "utf-8")
        (temporary / RECORD_FILE).write_text(
            json.dumps(_record(vectors, file), indent=1) + "\n", "utf-8"
        )
        temporary.chmod(0o755)
        move_into_place(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _record(vectors: GoldenVectors, file: ModelFile) -> dict[str, Any]:
    return {
        "flatbuffer_sha256": file.metadata.flatbuffer_sha256,
        "engine": vectors.engine,
        "edge_rnn": __version__,
        "windows": list(vectors.positions),
        "labels": list(file.metadata.labels),
        "dtypes": {name: str(values.dtype) for name, values in vectors.arrays().items()},
        "shapes": {name: list(values.shape) for name, values in vectors.arrays().items()},
    }


def c_texts(vectors: GoldenVectors, file: ModelFile) -> dict[str, str]:
    """Name of a C file -> its text: the header, and the program that replays it."""
    metadata, count = file.metadata, len(vectors.raw)
    floats = vectors.outputs.dtype == np.float32
    values = {
        "name": vectors.name,
        "NAME": vectors.name.upper(),
        "version": __version__,
        "engine": vectors.engine,
        "digest": metadata.flatbuffer_sha256,
        "count": count,
        "values": metadata.steps * metadata.features,
        "steps": metadata.steps,
        "features": metadata.features,
        "output_count": vectors.outputs.shape[1],
        "windows": array_text(np.array(vectors.positions, np.int64)),
        "raw_name": RAW_C_TYPES[str(vectors.raw.dtype)][1],
        "raw_type": C_NUMBERS[str(vectors.raw.dtype)],
        "raw": nested_array(vectors.raw.reshape(count, -1)),
        "input_type": C_NUMBERS[str(vectors.inputs.dtype)],
        "inputs": nested_array(vectors.inputs.reshape(count, -1)),
        "output_note": ", as the bits of its floats" if floats else "",
        "output_type": "uint32_t" if floats else C_NUMBERS[str(vectors.outputs.dtype)],
        "outputs": nested_array(vectors.outputs.view(np.uint32) if floats else vectors.outputs),
        "logits": nested_array(vectors.logits),
    }
    return {
        f"{vectors.name}_vectors.h": filled("vectors.h", values),
        f"{vectors.name}_replay.c": filled("replay.c", values),
    }
