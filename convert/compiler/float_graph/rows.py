"""Layers that choose, join or summarize rows of sequences.

Layers that read several sources get their values in the order of the sources. A value is a vector, one
row `[1, n]`, or a sequence, a list of rows. `name` is what the names of the new tensors start with.
"""

from __future__ import annotations

import numpy as np

from convert.compiler.float_graph.builder import GraphBuilder
from convert.compiler.float_graph.feed_forward import add_side_by_side
from convert.source_model.network import GlobalPooling, Join, Pooling, Unflatten
from edge_runtime.tflite.graph import Op


def add_pooling(
    builder: GraphBuilder, layer: Pooling, prefix: str, rows: list[str], part: str
) -> list[str]:
    """The average or the maximum of the rows under each position; padding counts for neither."""
    before, after = layer.padding
    result = []
    starts = range(-before, len(rows) + after - layer.size + 1, layer.stride)
    for t, start in enumerate(starts, start=1):
        covered = rows[max(0, start) : start + layer.size]
        result.append(add_summary(builder, layer.kind, covered, f"{prefix}y{part}{t}"))
    return result


def add_global_pooling(
    builder: GraphBuilder,
    layer: GlobalPooling,
    prefix: str,
    rows: list[str],
    mask: list[str] | None,
    part: str,
) -> str:
    """The average, the maximum or the sum of every feature along the rows.

    `mask`: rows `[1, 1]` that are 0 where a row does not count; only the average may have one.
    """
    if mask is None or layer.kind == "max":
        return add_summary(builder, layer.kind, rows, f"{prefix}y{part}")
    return _masked_average(builder, rows, mask, prefix)


def add_summary(builder: GraphBuilder, kind: str, rows: list[str], name: str) -> str:
    """average, max or sum of rows `[1, n]`, feature by feature."""
    if len(rows) == 1:
        return rows[0]
    packed = add_packed(builder, rows, f"{name}_rows")
    shape, axis = builder.tensors[rows[0]].shape, step_axis(builder)
    if kind == "max":
        return builder.operator(Op.REDUCE_MAX, [packed, axis], name, shape, axis=1)
    if kind == "average":
        return builder.operator(Op.MEAN, [packed, axis], name, shape, axis=1)
    mean = builder.operator(Op.MEAN, [packed, axis], f"{name}_mean", shape, axis=1, keep_float=True)
    return builder.operator(Op.MUL, [mean, add_number(builder, len(rows))], name, shape)


def _masked_average(builder: GraphBuilder, rows: list[str], mask: list[str], prefix: str) -> str:
    """mean(m x) / mean(m), as m * m = m: mean(m x) * rsqrt(mean(m)) * rsqrt(mean(m)), in float32.

    The average of no rows at all is 0.
    """
    shape, axis = builder.tensors[rows[0]].shape, step_axis(builder)
    counted = [
        builder.operator(Op.MUL, [m, row], f"{prefix}counted{t}", shape, keep_float=True)
        for t, (m, row) in enumerate(zip(mask, rows), start=1)
    ]
    packed = add_packed(builder, counted, f"{prefix}rows", keep_float=True)
    total = builder.operator(Op.MEAN, [packed, axis], f"{prefix}total", shape, axis=1, keep_float=True)
    masks = add_packed(builder, mask, f"{prefix}masks")
    share = builder.operator(Op.MEAN, [masks, axis], f"{prefix}share", (1, 1), axis=1, keep_float=True)
    # Less than one row in all, so that it changes no average: it only keeps 0 away from RSQRT.
    least = builder.shared_constant("least_share", np.full((1, 1), 1e-30, np.float32))
    share = builder.operator(Op.ADD, [share, least], f"{prefix}share_least", (1, 1), keep_float=True)
    root = builder.operator(Op.RSQRT, [share], f"{prefix}root", (1, 1), keep_float=True)
    once = builder.operator(Op.MUL, [total, root], f"{prefix}once", shape, keep_float=True)
    return builder.operator(Op.MUL, [once, root], f"{prefix}y", shape)


def add_packed(builder: GraphBuilder, rows: list[str], name: str, *, keep_float: bool = False) -> str:
    """Rows `[1, n]` as one tensor `[1, rows, n]`."""
    shape = (1, len(rows), builder.width(rows[0]))
    return builder.operator(Op.PACK, rows, name, shape, axis=1, keep_float=keep_float)


def step_axis(builder: GraphBuilder) -> str:
    """The constant that names the axis of the steps in `[1, steps, n]`."""
    return builder.shared_constant("step_axis", np.array([1], np.int32))


def add_number(builder: GraphBuilder, value: float) -> str:
    """A constant `[1, 1]` of float32."""
    return builder.shared_constant(f"number_{value:g}", np.full((1, 1), value, np.float32))


def add_unflattened(builder: GraphBuilder, layer: Unflatten, prefix: str, vector: str) -> list[str]:
    """Parts of a vector as rows."""
    width = builder.width(vector)
    if width % layer.steps:
        raise ValueError(f"layer {layer.name} cannot cut {width} values into {layer.steps} rows")
    if layer.steps == 1:
        return [vector]
    names = [f"{prefix}y{t}" for t in range(1, layer.steps + 1)]
    axis = builder.shared_constant("gate_axis", np.array(1, np.int32))
    return builder.fan_out(Op.SPLIT, [axis, vector], names, (1, width // layer.steps), axis=1)


def add_join(builder: GraphBuilder, layer: Join, rows: list[str], name: str) -> str:
    """One row of each source as one row, by any kind of Join but "rows"."""
    if layer.kind == "concat":
        return add_side_by_side(builder, rows, name)
    if layer.kind == "maximum":
        return add_summary(builder, "max", rows, name)
    op = {"subtract": Op.SUB, "multiply": Op.MUL}.get(layer.kind, Op.ADD)
    width = max(builder.width(row) for row in rows)
    total = rows[0]
    for k, row in enumerate(rows[1:], start=1):
        last = k == len(rows) - 1 and layer.kind != "average"
        total = builder.operator(op, [total, row], name if last else f"{name}_{k}", (1, width))
    if layer.kind != "average":
        return total
    share = add_number(builder, 1 / len(rows))
    return builder.operator(Op.MUL, [total, share], name, (1, width))
