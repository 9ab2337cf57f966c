"""The numpy engine with the methods of tflite.Interpreter that edge_runtime calls."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.numpy_engine.interpret import PreparedGraph
from edge_runtime.numpy_engine.read_graph import read_graph
from edge_runtime.tflite.flatbuffer_reader import MalformedError
from edge_runtime.tflite.graph import tensor_detail


class NumpyInterpreter:
    """A model that has been read and prepared.

    Raises ValueError, with a sentence, for a model that it cannot run.
    """

    def __init__(self, flatbuffer: bytes) -> None:
        graph = read_graph(flatbuffer)
        try:
            with np.errstate(all="ignore"):  # the factors of scales beyond float32 are refused
                self._prepared = PreparedGraph(graph)
        except KeyError as error:
            raise MalformedError(f"the numpy engine has no kernel for {error} in these types") from None
        self._inputs = [tensor_detail(graph.tensors[name]) for name in graph.inputs]
        self._outputs = [tensor_detail(graph.tensors[name]) for name in graph.outputs]
        self._values: dict[int, NDArray[Any]] = {}

    def get_input_details(self) -> list[dict[str, Any]]:
        """As tflite.Interpreter's; the names of tensors are their numbers."""
        return self._inputs

    def get_output_details(self) -> list[dict[str, Any]]:
        """As tflite.Interpreter's; the names of tensors are their numbers."""
        return self._outputs

    def set_tensor(self, index: int, value: NDArray[Any]) -> None:
        """Fill the input with that index. Raises ValueError for another shape or dtype."""
        detail = next(item for item in self._inputs if item["index"] == index)
        if value.dtype != detail["dtype"] or value.shape != tuple(detail["shape"]):
            raise ValueError(f"an input is {value.dtype}{list(value.shape)}")
        self._values[index] = value.copy()

    def invoke(self) -> None:
        """Run the model. Raises ValueError when an input was not filled."""
        if not self._values.keys() >= {detail["index"] for detail in self._inputs}:
            raise ValueError("an input was not filled")
        inputs = [self._values[detail["index"]] for detail in self._inputs]
        with np.errstate(all="ignore"):  # infinities are results, as in the other engines
            results = self._prepared.run(inputs)
        self._values.update(zip((detail["index"] for detail in self._outputs), results))

    def get_tensor(self, index: int) -> NDArray[Any]:
        """A copy of the output with that index."""
        return self._values[index].copy()
