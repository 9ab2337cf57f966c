"""An ONNX file: its nodes and constants, one node evaluated, the whole model evaluated.

The only module that loads the onnx library and ONNX Runtime.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import DataError, reason
from edge_runtime.host.optional_packages import needs_extra

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class OnnxNode:
    """One node. An input or output that is left out has the name ''."""

    op: str
    """The operator, after its domain if that is not ONNX's own."""
    name: str
    """The node's name, or that of its first output if the node has none."""
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]
    """Tensors as arrays, text as str, an inner graph as `InnerGraph`."""
    proto: Any
    """onnx.NodeProto"""


@dataclass(frozen=True, eq=False)
class InnerGraph:
    """A branch of an If. It may use the names of the graph around it."""

    nodes: tuple[OnnxNode, ...]
    constants: dict[str, Array]
    outputs: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class GraphInput:
    """An input that has to be fed. A dimension that the model leaves open is `None` in the shape."""

    name: str
    shape: tuple[int | None, ...]
    dtype: np.dtype[Any]


@dataclass(frozen=True, eq=False)
class OnnxFile:
    """A model that has been read; local functions are inlined."""

    path: str
    nodes: tuple[OnnxNode, ...]
    constants: dict[str, Array]
    inputs: tuple[GraphInput, ...]
    outputs: tuple[str, ...]
    proto: Any
    """onnx.ModelProto"""

    @property
    def opset(self) -> int:
        """Version of ONNX's own operators."""
        return next((item.version for item in self.proto.opset_import if item.domain == ""), 1)

    def evaluate(self, node: OnnxNode, arrays: Sequence[Array | None]) -> list[Array]:
        """One node's outputs for its inputs (None: left out), by ONNX's reference implementation."""
        helper = _onnx().helper
        to_type = helper.np_dtype_to_tensor_dtype
        given = {name: array for name, array in zip(node.inputs, arrays) if name and array is not None}
        infos = [
            helper.make_tensor_value_info(name, to_type(array.dtype), array.shape)
            for name, array in given.items()
        ]
        outputs = [helper.make_empty_tensor_value_info(name) for name in node.outputs if name]
        graph = helper.make_graph([node.proto], "node", infos, outputs)
        model = helper.make_model(graph, opset_imports=self.proto.opset_import)
        results = iter(_reference(model).run(None, given))
        return [np.asarray(next(results)) if name else np.empty(0) for name in node.outputs]

    def runner(self, output: str) -> Runner:
        """The whole model as a function from its inputs to the tensor `output`."""
        return Runner(self, output)


class Runner:
    """Evaluates a model with ONNX Runtime.

    ONNX's own reference takes its place where ONNX Runtime is not installed or refuses the model, such
    as one with an LSTM of layout 1.
    """

    def __init__(self, file: OnnxFile, output: str) -> None:
        model = _with_output(file.proto, output)
        self._names = [output]
        try:
            self._session = _runtime_session(model)
        except Exception:  # not installed, or one of ONNX Runtime's own kinds
            self._session = _reference(model)

    def __call__(self, inputs: Mapping[str, Array]) -> Array:
        """The output for values of all inputs."""
        return np.asarray(self._session.run(self._names, dict(inputs))[0])


def read_onnx(path: str | Path, constants: Mapping[str, Array] | None = None) -> OnnxFile:
    """Read a model. `constants` gives values to some of its inputs, which then become constants.

    Raises DataError for a file that is not a valid ONNX model, and MissingExtraError without onnx.
    """
    onnx = _onnx()
    try:
        model = onnx.load(str(path))
        onnx.checker.check_model(model)
    except FileNotFoundError as error:
        raise DataError(f"{error.filename or path}: no such file") from None
    except Exception as error:  # protobuf's and onnx's own, of many kinds
        raise DataError(f"{path}: not a valid ONNX model ({reason(error)})") from None
    return file_from_model(model, str(path), constants)


def file_from_model(model: Any, path: str, constants: Mapping[str, Array] | None = None) -> OnnxFile:
    """The same for an onnx.ModelProto; `path` is its name in messages."""
    onnx = _onnx()
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    if constants:
        model = _bound(model, constants)
    inner = _inner_graph(model.graph)
    fed = [item for item in model.graph.input if item.name not in inner.constants]
    return OnnxFile(
        path,
        inner.nodes,
        inner.constants,
        tuple(_graph_input(item) for item in fed),
        inner.outputs,
        model,
    )


def tool_versions() -> dict[str, str]:
    """Versions of the libraries that read and evaluate the model."""
    versions = {"onnx": str(_onnx().__version__)}
    try:
        import onnxruntime
    except ModuleNotFoundError:
        return versions
    return {**versions, "onnxruntime": str(onnxruntime.__version__)}


def _onnx() -> Any:
    with needs_extra("onnx", "onnx", "an ONNX model"):
        import onnx
        import onnx.inliner
        import onnx.reference
    return onnx


def _reference(model: Any) -> Any:
    return _onnx().reference.ReferenceEvaluator(model)


def _runtime_session(model: Any) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    # With its graph optimizations off it computes the nodes as they stand in the file.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def _bound(model: Any, constants: Mapping[str, Array]) -> Any:
    bound = type(model)()
    bound.CopyFrom(model)
    to_tensor = _onnx().numpy_helper.from_array
    bound.graph.initializer.extend(to_tensor(array, name) for name, array in constants.items())
    kept = [item for item in bound.graph.input if item.name not in constants]
    del bound.graph.input[:]
    bound.graph.input.extend(kept)
    return bound


def _with_output(model: Any, output: str) -> Any:
    """A copy of the model whose only output is the tensor `output`."""
    copy = type(model)()
    copy.CopyFrom(model)
    del copy.graph.output[:]
    copy.graph.output.append(_onnx().helper.make_empty_tensor_value_info(output))
    return copy


def _graph_input(info: Any) -> GraphInput:
    tensor = info.type.tensor_type
    sizes = tuple(d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim)
    dtype = _onnx().helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    return GraphInput(info.name, sizes, np.dtype(dtype))


def _inner_graph(graph: Any) -> InnerGraph:
    to_array = _onnx().numpy_helper.to_array
    return InnerGraph(
        tuple(_node(proto) for proto in graph.node),
        {tensor.name: to_array(tensor) for tensor in graph.initializer},
        tuple(item.name for item in graph.output),
    )


def _node(proto: Any) -> OnnxNode:
    op = proto.op_type if proto.domain in ("", "ai.onnx") else f"{proto.domain}.{proto.op_type}"
    name = proto.name or next((output for output in proto.output if output), proto.op_type)
    attributes = {item.name: _attribute(item) for item in proto.attribute}
    return OnnxNode(op, name, tuple(proto.input), tuple(proto.output), attributes, proto)


def _attribute(item: Any) -> Any:
    onnx = _onnx()
    value = onnx.helper.get_attribute_value(item)
    if isinstance(value, onnx.GraphProto):
        return _inner_graph(value)
    if isinstance(value, onnx.TensorProto):
        return onnx.numpy_helper.to_array(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, list) and value and isinstance(value[0], bytes):
        return [text.decode("utf-8", "replace") for text in value]
    return value
