"""ONNX nodes that read several values: Concat, Add, Sub, Mul, Max, MatMul and Einsum of two values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convert.readers.onnx.choose import selected, taken_rows
from convert.readers.onnx.file import OnnxNode
from convert.readers.onnx.layouts import (
    Sequence,
    as_sequence,
    as_single,
    as_vector,
    joined,
    unrepeated,
)
from convert.readers.onnx.tracing import (
    PADDING,
    Positions,
    ShapedNode,
    Traced,
    Unsupported,
    Value,
    natural,
    side_by_side,
)
from convert.source_model.network import Activation, Affine, Attention, WeightedSum

KINDS = {"Add": "add", "Sum": "add", "Sub": "subtract", "Mul": "multiply", "Max": "maximum"}
"""OnnxNode -> kind of Join."""

NO_ORDER = "joins elements of its inputs that are not in the same rows or columns"


@dataclass(frozen=True)
class Scores:
    """scale * query @ key^T, the inner part of attention. Sources: query and key.

    The query is a sequence, or a vector, for which the scores are one. It stands for what Attention
    computes, and is no layer of a Network.
    """

    name: str


def concatenation(node: OnnxNode, values: list[Value]) -> Traced:
    """Concat of values, and of constants that are zero, which are padding."""
    shape = next(value.positions.shape for value in values if isinstance(value, Traced))
    parts = []
    for value in values:
        if isinstance(value, np.ndarray):
            if value.any():
                raise Unsupported("puts a constant beside values. Expected zeros.")
            if not value.size:
                continue
            value = Traced((), np.full(value.shape, PADDING, np.int64))
        assert isinstance(value, Traced)
        parts.append(value)
    return side_by_side(parts, node.attributes["axis"] % len(shape))


def element_by_element(node: OnnxNode, a: Traced, b: Traced) -> Traced:
    """Two values joined element by element, with broadcasting."""
    if node.op not in KINDS:
        raise Unsupported("divides by a value that depends on the window, which no layer does")
    shape = np.broadcast_shapes(a.positions.shape, b.positions.shape)
    whole = [value for value in (a, b) if value.positions.size == np.prod(shape)]
    for base in whole:
        other = b if base is a else a
        arranged = _Arranged.of(base.moved(base.positions.reshape(shape)))
        if arranged is None:
            continue
        spread = np.broadcast_to(other.positions, shape)
        beside = arranged.beside(other.moved(spread))
        sources = [arranged.tensor, beside] if base is a else [beside, arranged.tensor]
        tensor = joined(node.name, KINDS[node.op], sources, arranged.tensor.steps, arranged.tensor.width)
        return Traced((tensor,), arranged.positions.reshape(shape))
    raise Unsupported(NO_ORDER)


@dataclass(frozen=True, eq=False)
class _Arranged:
    """A value whose elements are those of a whole tensor, each once."""

    tensor: ShapedNode
    positions: Positions
    """Position in the tensor of every element, in C order of the value."""

    @classmethod
    def of(cls, value: Traced) -> _Arranged | None:
        value = as_single(value)
        value.check_padding()
        tensor, flat = value.tensor, value.positions.reshape(-1)
        rows, place_of_row = np.unique(flat % tensor.size // tensor.width, return_inverse=True)
        columns, place_of_column = np.unique(flat % tensor.width, return_inverse=True)
        positions = (flat // tensor.size * len(rows) + place_of_row) * len(columns) + place_of_column
        if not np.array_equal(np.sort(positions), np.arange(tensor.batch * len(rows) * len(columns))):
            return None
        if tensor.steps is not None:
            tensor = taken_rows(tensor, rows.tolist())
        return cls(selected(tensor, columns), positions)

    def beside(self, other: Traced) -> ShapedNode:
        """The elements of another value, each in the place of this one's; perhaps of width 1."""
        tensor = self.tensor
        shape = (tensor.batch, tensor.steps or 1, tensor.width)
        places = other.positions.reshape(-1)[np.argsort(self.positions)].reshape(shape)
        if (places == places[..., :1]).all():
            places = places[..., :1]
        if tensor.steps is None:
            return as_vector(other.moved(places), tensor.batch).exact
        return unrepeated(as_sequence(other, places).exact)


def product(node: OnnxNode, a: Traced, b: Traced) -> Traced:
    """A @ B of two values: scores of attention, or a sum of rows with weights. Heads one by one."""
    first, second = _leading(a.positions), _leading(b.positions)
    if first.shape[:2] != second.shape[:2]:
        raise Unsupported(
            f"multiplies values of shapes {list(a.positions.shape)} and {list(b.positions.shape)}. "
            "Expected a matrix for each window in both."
        )
    heads = []
    for head in range(first.shape[1]):
        name = node.name if first.shape[1] == 1 else f"{node.name}_{head}"
        found = _product(name, a.moved(first[:, head]), b.moved(second[:, head]))
        heads.append(found.moved(found.positions[:, None]))
    result = side_by_side(heads, 1)
    shape = (*a.positions.shape[:-1], b.positions.shape[-1])
    return result.moved(result.positions.reshape(shape))


def einsum(node: OnnxNode, values: list[Value]) -> Traced:
    """Einsum of two values that is a product of matrices, one for each window and head."""
    equation = node.attributes["equation"].replace(" ", "")
    given, _, result = equation.partition("->")
    letters = given.split(",")
    if len(letters) != 2 or not all(isinstance(value, Traced) for value in values):
        raise Unsupported(f"computes {equation}. Expected a product of two values.")
    together = [letter for letter in letters[0] if letter in letters[1] and letter in result]
    summed = [letter for letter in letters[0] if letter in letters[1] and letter not in result]
    own = [
        [letter for letter in each if letter in result and letter not in together] for each in letters
    ]
    if len(summed) != 1 or len(together) not in (1, 2) or max(map(len, own)) > 1:
        raise Unsupported(f"computes {equation}. Expected attention, such as bqd,bkd->bqk.")
    orders = ([*together, *own[0], *summed], [*together, *summed, *own[1]])
    shapes = []
    for value, each, order, missing in zip(values, letters, orders, (-2, -1)):
        assert isinstance(value, Traced)
        positions = value.positions.transpose([each.index(letter) for letter in order])
        whole = len(order) == len(together) + 2
        shapes.append(value.moved(positions if whole else np.expand_dims(positions, missing)))
    found = product(node, *shapes)
    absent = tuple(axis for axis, letter in ((-2, own[0]), (-1, own[1])) if not letter)
    positions = np.squeeze(found.positions, absent)
    order = [*together, *own[0], *own[1]]
    return found.moved(positions.transpose([order.index(letter) for letter in result]))


def _leading(positions: Positions) -> Positions:
    """`[batch, heads, rows, columns]`"""
    if positions.ndim == 3:
        return positions[:, None]
    if positions.ndim != 4:
        raise Unsupported(
            f"multiplies by a value of shape {list(positions.shape)} that depends on the window. "
            "Expected attention over the rows of every window."
        )
    return positions


def _product(name: str, a: Traced, b: Traced) -> Traced:
    """A `[batch, m, k]` @ B `[batch, k, n]`."""
    batch, m, _ = a.positions.shape
    n = b.positions.shape[2]
    if n == 1:
        return _with_vector(name, as_vector(b, batch).exact, a, batch, (m, n))
    if m == 1:
        turned = b.moved(b.positions.transpose(0, 2, 1))
        return _with_vector(name, as_vector(a, batch).exact, turned, batch, (m, n))
    weights = _scored(a)
    if weights is not None:
        return _attended(name, weights, as_sequence(b, b.positions))
    query = as_sequence(a, a.positions).exact
    key = as_sequence(b, b.positions.transpose(0, 2, 1)).exact
    scores = query.then(Scores(name), m, n, key)
    return Traced((scores,), natural(batch, m, n))


def _with_vector(
    name: str, vector: ShapedNode, rows: Traced, batch: int, shape: tuple[int, int]
) -> Traced:
    """`rows` `[batch, m, k]` @ the vector `[k]`: a score of each row, or a sum of rows."""
    m = rows.positions.shape[1]
    try:
        key = as_sequence(rows, rows.positions).exact
    except Unsupported:
        values = as_sequence(rows, rows.positions.transpose(0, 2, 1)).exact
        result = vector.then(WeightedSum(name), None, values.width, values)
    else:
        result = vector.then(Scores(name), None, m, key)
    return Traced((result,), natural(batch, *shape))


def _scored(value: Traced) -> ShapedNode | None:
    """The softmax of scores, if the value `[batch, m, k]` is one."""
    value = value.used()
    if len(value.tensors) > 1 or scores_of(value.tensor) is None:
        return None
    whole = natural(value.tensor.batch, value.tensor.steps or 1, value.tensor.width)
    return value.tensor if np.array_equal(value.positions, whole) else None


def _attended(name: str, weights: ShapedNode, values: Sequence) -> Traced:
    tensor = attention(name, weights, values.exact)
    assert tensor is not None
    assert tensor.steps is not None
    return Traced((tensor,), natural(tensor.batch, tensor.steps, tensor.width))


def attention(name: str, weights: ShapedNode, values: ShapedNode) -> ShapedNode | None:
    """Attention to `values`, if the weights are a softmax of scores."""
    found = scores_of(weights)
    if found is None:
        return None
    scores, scale = found
    query, key = scores.sources
    others = (values,) if key is values else (values, key)
    return query.then(Attention(name, scale), query.steps, values.width, *others)


def scores_of(weights: ShapedNode) -> tuple[ShapedNode, float] | None:
    """The scores that these weights are a softmax of, and the factor between both."""
    if not (isinstance(weights.layer, Activation) and weights.layer.function == "softmax"):
        return None
    (scores,), scale = weights.sources, 1.0
    while isinstance(scores.layer, Affine):
        factor = scores.layer.scale
        if scores.layer.offset.any() or (factor != factor[0]).any():
            return None
        scale *= float(factor[0])
        (scores,) = scores.sources
    return (scores, scale) if isinstance(scores.layer, Scores) else None
