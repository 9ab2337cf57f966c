"""A TFLite subgraph as tensors and operators in execution order.

A Graph is float or quantized. The converter's stages are functions from Graph to Graph. The names of
tensors are unique.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.tflite.quantization import dequantize, quantize

if TYPE_CHECKING:
    from numpy.typing import NDArray

FLOAT32: np.dtype[Any] = np.dtype(np.float32)


class Op(str, Enum):
    """The operators in use, by their names in TFLite's schema (BuiltinOperator)."""

    ADD = "ADD"
    CONCATENATION = "CONCATENATION"
    DEQUANTIZE = "DEQUANTIZE"
    ELU = "ELU"
    FULLY_CONNECTED = "FULLY_CONNECTED"
    GATHER = "GATHER"
    LOGISTIC = "LOGISTIC"
    MEAN = "MEAN"
    MINIMUM = "MINIMUM"
    MUL = "MUL"
    PACK = "PACK"
    QUANTIZE = "QUANTIZE"
    REDUCE_MAX = "REDUCE_MAX"
    RELU = "RELU"
    RESHAPE = "RESHAPE"
    RSQRT = "RSQRT"
    SOFTMAX = "SOFTMAX"
    SPLIT = "SPLIT"
    SQUARED_DIFFERENCE = "SQUARED_DIFFERENCE"
    SUB = "SUB"
    TANH = "TANH"
    UNPACK = "UNPACK"


@dataclass(frozen=True)
class Quantization:
    """real = scale * (q - zero_point), with one scale for the tensor or one for each index of axis 0."""

    scale: tuple[float, ...]
    zero_point: int = 0

    @property
    def per_channel(self) -> bool:
        """Whether each index of axis 0 has its own scale."""
        return len(self.scale) > 1


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor of the graph. Only constants have `data`; activations have batch size 1."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any] = FLOAT32
    data: NDArray[Any] | None = None
    quantization: Quantization | None = None
    keep_float: bool = False
    """Whether the tensor stays float32 in an integer graph, as its operator has no good integer form."""
    clip: tuple[float, float] | None = None
    """The limits of the values, if a function that ends there computes them. They are the range of an
    integer tensor, which then clips by itself."""
    is_mask: bool = False
    """Whether the values are 0 or 1 only, and so change nothing in the products of a state."""
    cell_state: bool = False
    """Whether the tensor is the c of an LSTM, or one of the products that c is the sum of."""
    int4: bool = False
    """Whether the values, held as int8, are -8..7, so that the file stores two of them in a byte."""

    @property
    def values(self) -> NDArray[Any]:
        """The data of a constant. Raises ValueError if the tensor is an activation."""
        if self.data is None:
            raise ValueError(f"{self.name} is not a constant")
        return self.data

    @property
    def affine(self) -> Quantization:
        """The quantization of a quantized tensor. Raises ValueError if the tensor is float."""
        if self.quantization is None:
            raise ValueError(f"{self.name} is not quantized")
        return self.quantization

    def encode(self, real: NDArray[np.floating[Any]]) -> NDArray[Any]:
        """The values that the tensor stores for `real` (float, any shape); integers if it is quantized.

        Raises ValueError for a tensor with a scale for each channel.
        """
        if self.quantization is None:
            return np.asarray(real, self.dtype)
        return quantize(real, self._scale, self.quantization.zero_point, self.dtype)

    def decode(self, stored: NDArray[Any]) -> NDArray[np.float32]:
        """The real values (float32) that `stored` (any shape) stands for; the inverse of `encode`.

        Raises ValueError for a tensor with a scale for each channel.
        """
        if self.quantization is None:
            return np.asarray(stored, np.float32)
        return dequantize(stored, self._scale, self.quantization.zero_point)

    @property
    def _scale(self) -> float:
        if self.affine.per_channel:
            raise ValueError(f"{self.name} has a scale for each channel")
        return self.affine.scale[0]


def tensor_detail(tensor: Tensor) -> dict[str, Any]:
    """What tflite.Interpreter says of an input or output. The name of the tensor is its number."""
    affine = tensor.quantization
    return {
        "name": tensor.name,
        "index": int(tensor.name),
        "shape": np.array(tensor.shape, np.int32),
        "dtype": tensor.dtype.type,
        "quantization": (affine.scale[0], affine.zero_point) if affine else (0.0, 0),
    }


@dataclass(frozen=True)
class Operator:
    """One operator. Its inputs are in TFLite's order, in which SPLIT has its axis first.

    CONCATENATION, MEAN, PACK, REDUCE_MAX, SPLIT and UNPACK have an `axis`; axis 0 is the batch. GATHER
    reads a table `[rows, ...]` and int32 numbers of rows; RESHAPE reads a tensor and its new shape.
    """

    op: Op
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    axis: int | None = None
    relu: bool = False
    """Whether FULLY_CONNECTED clips its result at zero."""


@dataclass(frozen=True, eq=False)
class Graph:
    """Operators in execution order over named tensors.

    An unrolled graph has one input, the window `[1, steps, features]`, and one output, the logits. A
    graph of a single step has the states as further inputs and outputs, in the order of `states`. A
    window of tokens is int32.
    """

    tensors: dict[str, Tensor]
    operators: tuple[Operator, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    states: tuple[tuple[str, str], ...] = ()
    """The states of a graph of a single step, as (input, output). They start at zero."""

    @property
    def input(self) -> str:
        """The first input: the window, or the row of a step."""
        return self.inputs[0]

    @property
    def output(self) -> str:
        """The first output: the logits."""
        return self.outputs[0]

    def constants(self) -> list[Tensor]:
        """The tensors that carry data."""
        return [tensor for tensor in self.tensors.values() if tensor.data is not None]

    def producers(self) -> dict[str, Operator]:
        """Tensor -> the operator that computes it. Inputs and constants have no entry."""
        return {name: operator for operator in self.operators for name in operator.outputs}

    def consumers(self) -> dict[str, list[Operator]]:
        """Tensor -> the operators that read it, in execution order. Every tensor has an entry."""
        found: dict[str, list[Operator]] = {name: [] for name in self.tensors}
        for operator in self.operators:
            for name in dict.fromkeys(operator.inputs):
                found[name].append(operator)
        return found

    def matmuls(self) -> list[Operator]:
        """The FULLY_CONNECTED operators. Their inputs are the activation, the weights and the bias."""
        return [operator for operator in self.operators if operator.op is Op.FULLY_CONNECTED]

    def matrices(self) -> list[str]:
        """Names of the weights of the FULLY_CONNECTED operators, each once, in execution order."""
        return list(dict.fromkeys(operator.inputs[1] for operator in self.matmuls()))
