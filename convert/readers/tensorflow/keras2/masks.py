"""The masks of Keras 2's merging layers, where Keras 3 has others.

A row of their result counts in Keras 2 if it counts in every input that has a mask. In Keras 3 it
counts if it does in any of them, and Add and the like give no mask if an input has none. Sources:
keras/layers/merge.py of Keras 2.2.4, tf_keras/src/layers/merging, keras/src/layers/merging.
"""

from __future__ import annotations

from typing import Any

MERGING = ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate")


def with_masks_of_keras2(keras: Any, layer: Any) -> Any:
    """The layer itself, which gives the mask that Keras 2 gave."""
    kind = type(layer).__name__
    if kind not in MERGING or getattr(layer, "axis", -1) not in (-1, 2):
        return layer

    def compute_mask(inputs: Any, mask: Any = None) -> Any:
        result = None
        for one in mask or ():
            if result is None or one is None:
                result = one if result is None else result
            elif one is not result:
                result = keras.ops.logical_and(result, one)
        return result

    layer.compute_mask = compute_mask
    return layer
