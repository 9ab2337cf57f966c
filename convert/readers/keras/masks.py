"""How Keras hands a mask on from one layer to the next.

A mask is a node that gives `[steps, 1]`, 1 for the rows that count. Sources: `compute_mask` and
`supports_masking` of the layers of Keras 3 and of tf_keras. The two join masks differently.
"""

from __future__ import annotations

from typing import Any

from convert.readers.keras.layer_config import named
from convert.readers.keras.values import KerasValue
from convert.source_model.network import Join
from convert.source_model.nodes import Node
from edge_runtime.errors import DataError


def passed_mask(layer: Any, value: KerasValue) -> Node | None:
    """The mask of the output of a layer that hands its input's mask on, if it supports masks."""
    if not getattr(layer, "supports_masking", False):
        return None
    return value.mask


def added_mask(layer: Any, values: list[KerasValue]) -> Node | None:
    """The mask of the output of Add, Multiply and the like, and of Concatenate along the features.

    Keras 3: a row counts if it counts in any input, and without one of the masks there is none. Keras 2:
    it counts if it counts in every input that has a mask.
    """
    if not getattr(layer, "supports_masking", False):
        return None
    masks = _different(values)
    if is_keras2(layer):
        return _joined(layer, masks, "multiply")
    return None if any(value.mask is None for value in values) else _joined(layer, masks, "maximum")


def rows_mask(layer: Any, values: list[KerasValue]) -> Node | None:
    """The mask of the output of Concatenate along the steps: the masks one after another.

    Raises DataError if only some inputs have one.
    """
    if not getattr(layer, "supports_masking", False) or all(value.mask is None for value in values):
        return None
    masks = [value.mask for value in values if value.mask is not None]
    if len(masks) < len(values):
        raise DataError(
            f"{named(layer)} puts rows with a mask and rows without one one after another. Expected a "
            "mask for all of them, or none."
        )
    return Node(Join(f"{layer.name}_mask", "rows"), *masks)


def is_keras2(layer: Any) -> bool:
    """Whether the layer joins masks as Keras 2 does: one of tf_keras, or read from a file of Keras 2
    (convert.readers.tensorflow.keras2.masks)."""
    replaced = getattr(vars(layer).get("compute_mask"), "__module__", "")
    return type(layer).__module__.split(".")[0] != "keras" or replaced.startswith("convert.")


def _different(values: list[KerasValue]) -> list[Node]:
    found: list[Node] = []
    for value in values:
        if value.mask is not None and value.mask not in found:
            found.append(value.mask)
    return found


def _joined(layer: Any, masks: list[Node], kind: str) -> Node | None:
    if len(masks) < 2:
        return masks[0] if masks else None
    return Node(Join(f"{layer.name}_mask", kind), *masks)
