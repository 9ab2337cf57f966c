"""Scaling at the window becomes the file's normalization, which is computed in float32 before the graph.

A model that begins with Normalization, BatchNormalization, Rescaling or (x - mean) / std takes raw
windows. Folded into the first matrix, its scaling would leave the raw window as the graph's input, which
an integer file stores with one scale for all features: a pressure of 1013 +- 40 then leaves nothing of
an acceleration of 0 +- 0.01. As the file's normalization it costs no precision, like that of a trained
run.

For a normalization n, `rescaled` makes a network with rescaled(n(x)) = network(x): it puts the inverse
std * n + mean in front, which cancels a scaling at the window or is folded into the first matrices.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from convert.source_model.fold import without_identities
from convert.source_model.network import Affine, Mask, Network
from convert.source_model.nodes import Node, network_of, nodes_of
from edge_runtime.model_file.normalization import Normalization

Columns = NDArray[np.float64]
"""A value for each column of the window, `[features]`."""

LARGE = 1e30
"""The std of a feature that the model multiplies by 0. Nothing of it is left in any arithmetic."""

CANCELLED = 1e-5
"""Scale and offset of an Affine that differ less from 1 and 0 are rounding."""


def leading_scaling(network: Network, dtype: str) -> Normalization | None:
    """The normalization that takes the place of the Affines at the window; None where there are none.

    `dtype`: that of the raw windows. Every layer that reads the window must be an Affine of the same
    scale and offset, or a Mask, and likewise for the static input. With std = 1 / |scale| and mean =
    -offset / scale, (x - mean) / std is scale * x + offset but for the sign.
    """
    nodes = nodes_of(_merged(network))
    found = [_leading_affine(nodes, static) for static in (False, True)]
    if found == [None, None]:
        return None
    sizes = (network.features - network.static, network.static)
    parts = [_columns(affine, size) for affine, size in zip(found, sizes)]
    scale, offset = (np.concatenate(part) for part in zip(*parts))
    used = np.where(scale == 0, 1.0, scale)
    mean = np.where(scale == 0, 0.0, -offset / used)
    std = np.where(scale == 0, LARGE, 1 / np.abs(used))
    normalization = Normalization(_as_float32(mean), _as_float32(std), dtype)
    return normalization if is_usable(normalization) else None


def fitted_scaling(windows: NDArray[np.float32], dtype: str) -> Normalization | None:
    """Brings each feature of raw windows, or of rows, `[..., features]` to mean 0 and deviation 1.

    None where float32 cannot hold that.
    """
    flat = windows.reshape(-1, windows.shape[-1]).astype(np.float64)
    std = flat.std(axis=0)
    std[std == 0] = 1.0
    normalization = Normalization(_as_float32(flat.mean(axis=0)), _as_float32(std), dtype)
    return normalization if is_usable(normalization) else None


def is_usable(normalization: Normalization) -> bool:
    """Whether a file can hold the normalization."""
    try:
        Normalization.from_json(normalization.to_json())
    except ValueError:
        return False
    return True


def rescaled(network: Network, normalization: Normalization) -> Network:
    """The network that gives for normalized windows what `network` gives for raw ones.

    A Mask compares with its value as the same float32 operations normalize it, so that it finds the rows
    that it found before.
    """
    mean, std = (
        np.broadcast_to(np.asarray(part, np.float32).astype(np.float64), (network.features,))
        for part in (normalization.mean, normalization.std)
    )
    rows, nodes = network.features - network.static, nodes_of(_merged(network))
    inverses = {
        False: Affine("window", std[:rows], mean[:rows]),
        True: Affine("static", std[rows:], mean[rows:]),
    }
    fronts: dict[int, Node] = {}
    for node in nodes:
        source, layer = node.sources[0], node.layer
        if source.layer is None and isinstance(layer, Mask):
            own = Normalization(tuple(mean[:rows]), tuple(std[:rows]))
            node.layer = replace(layer, value=own.apply(np.broadcast_to(layer.value, (rows,))))
        elif source.layer is None and isinstance(layer, Affine):
            node.layer = _snapped(_composed(inverses[source.static], layer))
        else:
            node.sources = tuple(
                fronts.setdefault(id(item), Node(inverses[item.static], item))
                if item.layer is None
                else item
                for item in node.sources
            )
    return network_of(
        without_identities(nodes[-1]),
        steps=network.steps,
        features=network.features,
        static=network.static,
    )


def _merged(network: Network) -> Network:
    """The network with one Affine in place of several in a row, in float64."""
    nodes = nodes_of(network)
    for node in nodes:
        front = node.sources[0] if node.sources else None
        if front is not None and isinstance(front.layer, Affine) and isinstance(node.layer, Affine):
            node.layer, node.sources = _composed(front.layer, node.layer), front.sources
    return network_of(nodes[-1], steps=network.steps, features=network.features, static=network.static)


def _leading_affine(nodes: list[Node], static: bool) -> Affine | None:
    """The Affine that all readers of the window are, apart from Masks; None where they are not."""
    readers = [
        node
        for node in nodes
        if any(source.layer is None and source.static == static for source in node.sources)
        and not isinstance(node.layer, Mask)
    ]
    affines = [node.layer for node in readers if isinstance(node.layer, Affine)]
    same = all(
        np.array_equal(affine.scale, affines[0].scale)
        and np.array_equal(affine.offset, affines[0].offset)
        for affine in affines
    )
    return affines[0] if affines and same and len(affines) == len(readers) else None


def _columns(affine: Affine | None, size: int) -> tuple[Columns, Columns]:
    if affine is None:
        return np.ones(size), np.zeros(size)
    return affine.scale.astype(np.float64), affine.offset.astype(np.float64)


def _composed(front: Affine, behind: Affine) -> Affine:
    scale, offset = _columns(behind, 0)
    return replace(behind, scale=scale * front.scale, offset=scale * front.offset + offset)


def _snapped(affine: Affine) -> Affine:
    """The Affine without what is left of float32's rounding after scale and offset have cancelled."""
    scale, offset = affine.scale, affine.offset
    near = np.allclose(np.abs(scale), 1, rtol=0, atol=CANCELLED) and np.all(np.abs(offset) < CANCELLED)
    return replace(affine, scale=np.sign(scale), offset=np.zeros_like(offset)) if near else affine


def _as_float32(values: Columns) -> tuple[float, ...]:
    with np.errstate(over="ignore"):
        return tuple(float(value) for value in values.astype(np.float32))
