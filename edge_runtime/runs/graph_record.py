"""A quantized graph as a file: what fine-tuning and the converter agree on.

`convert` writes every operator, and the scale and zero_point of every tensor of the file it would make.
`train --finetune` computes with exactly these roundings, adjusts the weights, and writes the record into
the new run, from which `convert` makes the file. Neither needs to know how the other works.

The file is an .npz. `graph` is a JSON text with everything but the constants; `constant/NAME` holds the
real values of each constant, float32 (the axis of an operator: int32).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import DataError

GRAPH_RECORD_VERSION = 1

FINETUNED_PRECISIONS = ("int8", "mixed")
"""Precisions that can be fine-tuned, as all their rounding is known before the model runs."""

_CONSTANT = "constant/"


@dataclass(frozen=True)
class RecordedTensor:
    """Shape, dtype and quantization of one tensor of the converted file."""

    shape: tuple[int, ...]
    dtype: str
    """int8, int32 or float32."""
    scale: tuple[float, ...] = ()
    """One, or one for each index of axis 0; empty for a float tensor.

    real = scale * (q - zero_point)"""
    zero_point: int = 0


@dataclass(frozen=True)
class RecordedOperator:
    """One operator by its name in TFLite's schema, inputs in TFLite's order."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    axis: int | None = None
    relu: bool = False


@dataclass(frozen=True, eq=False)
class GraphRecord:
    """The operators in execution order, the tensors by name, the constants' real values."""

    precision: str
    scheme: str
    """The converter's name for the arithmetic."""
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    operators: tuple[RecordedOperator, ...]
    tensors: dict[str, RecordedTensor]
    constants: dict[str, NDArray[Any]]

    def save(self, path: str | Path) -> None:
        """Write the file."""
        content = {
            key: value for key, value in vars(self).items() if key not in ("tensors", "constants")
        }
        content["operators"] = [asdict(operator) for operator in self.operators]
        content["tensors"] = {name: asdict(tensor) for name, tensor in self.tensors.items()}
        text = json.dumps({"format_version": GRAPH_RECORD_VERSION, **content})
        arrays = {_CONSTANT + name: values for name, values in self.constants.items()}
        with open(path, "wb") as file:
            np.savez(file, graph=np.array(text), **arrays)

    @classmethod
    def load(cls, path: str | Path) -> GraphRecord:
        """Read what `save` wrote. Raises DataError for anything else."""
        try:
            with np.load(path, allow_pickle=False) as archive:
                content = json.loads(str(archive["graph"]))
                constants = {
                    name[len(_CONSTANT) :]: archive[name]
                    for name in archive.files
                    if name.startswith(_CONSTANT)
                }
            return _from_json(content, constants)
        except Exception as error:  # zipfile, zlib, json and numpy each raise their own kinds
            raise DataError(
                f"{path}: not a quantized graph as edge-rnn writes it ({error!r})."
            ) from None


def _from_json(content: dict[str, Any], constants: dict[str, NDArray[Any]]) -> GraphRecord:
    if content["format_version"] != GRAPH_RECORD_VERSION:
        raise ValueError(
            f"format version {content['format_version']}, this program reads {GRAPH_RECORD_VERSION}"
        )
    return GraphRecord(
        precision=content["precision"],
        scheme=content["scheme"],
        inputs=tuple(content["inputs"]),
        outputs=tuple(content["outputs"]),
        operators=tuple(
            RecordedOperator(
                item["op"], tuple(item["inputs"]), tuple(item["outputs"]), item["axis"], item["relu"]
            )
            for item in content["operators"]
        ),
        tensors={
            name: RecordedTensor(
                tuple(item["shape"]), item["dtype"], tuple(item["scale"]), item["zero_point"]
            )
            for name, item in content["tensors"].items()
        },
        constants=constants,
    )
