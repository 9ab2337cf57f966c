"""Graphs of a single operator, for the operators and broadcasts that few layers have."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edge_runtime.numpy_engine.check_graph import FLOAT, INT8, INT16, INT32
from edge_runtime.tflite.graph import Graph, Op, Operator, Quantization, Tensor

TOKENS = 11
"""Rows of the tables."""

BROADCASTS = (
    ((1, 1), (1, 7)),
    ((1, 7), (1, 1)),
    ((1, 4, 7), (1, 4, 1)),
    ((1, 4, 1), (1, 4, 7)),
    ((1, 4, 7), (1, 1, 7)),
    ((1, 1, 7), (1, 4, 7)),
)

SCALES = {
    INT8: (Quantization((0.02,), 3), Quantization((1 / 256,), -128), Quantization((0.01,), -5)),
    INT16: (Quantization((0.001,)), Quantization((1 / 32768,)), Quantization((0.0005,))),
}
"""Type -> scales of both inputs and of the result of a sum or product."""


def operator_graphs() -> dict[str, Graph]:
    """Name -> graph. Names begin with the operator."""
    return dict((*_pairs(), *_functions(), *_moves(), *_reductions()))


def single(
    op: Op, inputs: list[Tensor], output: Tensor, axis: int | None = None, relu: bool = False
) -> Graph:
    """A graph of that operator. Inputs without data are those of the graph."""
    names = tuple(tensor.name for tensor in inputs)
    return Graph(
        {tensor.name: tensor for tensor in (*inputs, output)},
        (Operator(op, names, (output.name,), axis, relu),),
        tuple(tensor.name for tensor in inputs if tensor.data is None),
        (output.name,),
    )


def _pairs() -> Iterator[tuple[str, Graph]]:
    for op in (Op.ADD, Op.MUL, Op.SUB):
        for one, other in BROADCASTS:
            shape = np.broadcast_shapes(one, other)
            name = f"{op.value} {list(one)} {list(other)}"
            yield (
                f"{name} float32",
                single(op, [Tensor("x", one), Tensor("y", other)], Tensor("z", shape)),
            )
            for dtype, scales in SCALES.items():
                x, y, z = (
                    Tensor(key, size, dtype, quantization=scale)
                    for key, size, scale in zip("xyz", (one, other, shape), scales)
                )
                yield f"{name} {dtype}", single(op, [x, y], z)


def _functions() -> Iterator[tuple[str, Graph]]:
    x, y = Tensor("x", (1, 900)), Tensor("y", (1, 900))
    for shape in ((), (1,), (1, 1), (1, 900)):
        limit = Tensor("limit", shape, data=np.full(shape, 0.3, np.float32))
        yield f"MINIMUM with {list(shape)}", single(Op.MINIMUM, [x, limit], y)
    yield "ELU", single(Op.ELU, [x], y)
    yield "SOFTMAX of a row", single(Op.SOFTMAX, [Tensor("x", (1, 9))], Tensor("y", (1, 9)))


def _moves() -> Iterator[tuple[str, Graph]]:
    rng = np.random.default_rng(0)
    for dtype in (FLOAT, INT8, INT16, INT32):
        scale = SCALES[dtype][0] if dtype in SCALES else None
        for source, target in (((1, 6, 1), (1, 6)), ((1, 6), (1, 6, 1)), ((1, 6), (1, 2, 3))):
            shape = Tensor("shape", (len(target),), INT32, np.array(target, np.int32))
            x, y = (
                Tensor(name, size, dtype, None, scale) for name, size in (("x", source), ("y", target))
            )
            yield f"RESHAPE {list(source)} {list(target)} {dtype}", single(Op.RESHAPE, [x, shape], y)
        if dtype == INT32:
            continue
        values = rng.integers(-100, 100, (TOKENS, 5)).astype(dtype)
        for tokens in ((1,), (1, 6), (1, 6, 1)):
            table, result = (
                Tensor("table", values.shape, dtype, values, scale),
                Tensor("y", (*tokens, 5), dtype, None, scale),
            )
            yield (
                f"GATHER {list(tokens)} {dtype}",
                single(Op.GATHER, [table, Tensor("x", tokens, INT32)], result),
            )


def _reductions() -> Iterator[tuple[str, Graph]]:
    for op in (Op.MEAN, Op.REDUCE_MAX):
        for source, target, axis in (
            ((1, 6, 5), (1, 6), 2),
            ((1, 6, 5), (1, 5), 1),
            ((1, 5), (1, 1), 1),
        ):
            number = Tensor("axis", (1,), INT32, np.array([axis], np.int32))
            graph = single(op, [Tensor("x", source), number], Tensor("y", target), axis)
            yield f"{op.value} {list(source)} {list(target)}", graph


def random_inputs(graph: Graph, rng: np.random.Generator, tokens: int = TOKENS) -> list[np.ndarray]:
    """Values for every input; of tokens, numbers from 0 to `tokens` - 1."""
    found = []
    for tensor in (graph.tensors[name] for name in graph.inputs):
        if tensor.dtype == FLOAT:
            values = rng.normal(0, 1, tensor.shape)
        elif tensor.dtype == INT32:
            values = rng.integers(0, tokens, tensor.shape)
        else:
            limits = np.iinfo(tensor.dtype)
            values = rng.integers(limits.min, limits.max + 1, tensor.shape)
        found.append(np.asarray(values).astype(tensor.dtype))
    return found
