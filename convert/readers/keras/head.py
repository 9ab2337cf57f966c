"""The end of a Keras model: its logits in the network, and in the model itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.readers.classifier_head import split_head
from convert.readers.model_task import SIGMOID, SOFTMAX, TaskHints
from convert.source_model.network import Activation
from convert.source_model.nodes import Node


def split_output(output: Node, outputs: int, hints: TaskHints | None) -> tuple[Node, str, str]:
    """The node of the logits, the function that the network leaves out, and the task.

    Works on the chain of layers at the end of the network. Raises what split_head raises.
    """
    tail = [output]
    while len(tail[0].sources) == 1 and tail[0].sources[0].layer is not None:
        tail.insert(0, tail[0].sources[0])
    layers = [node.layer for node in tail if node.layer is not None]
    kept, function, task = split_head(layers, outputs, hints)
    node = tail[0].sources[0] if len(tail[0].sources) == 1 and tail[0].layer is not None else tail[0]
    same = True
    for k, layer in enumerate(kept):
        same = same and k < len(tail) and layer is tail[k].layer
        node = tail[k] if same else Node(layer, *(tail[0].sources if k == 0 else (node,)))
    return node, function, task


@dataclass(frozen=True, eq=False)
class LogitsRecorder:
    """Records what a model's last layer applies its softmax or sigmoid to."""

    layer: Any
    """The layer of Keras that applies it, or None where the model's output are logits."""
    alone: bool
    """Whether it is a layer that does nothing else."""

    @contextmanager
    def recording(self) -> Iterator[list[NDArray[np.float32]]]:
        """Inside this context each call of the layer appends what the function is applied to."""
        seen: list[NDArray[np.float32]] = []
        if self.layer is None:
            yield seen
            return
        name = "call" if self.alone else "activation"
        original, own = getattr(self.layer, name), name in vars(self.layer)

        def recorded(values: Any, *arguments: Any, **options: Any) -> Any:
            seen.append(np.asarray(values, np.float32))
            return original(values, *arguments, **options)

        setattr(self.layer, name, recorded)
        try:
            yield seen
        finally:
            if own:
                setattr(self.layer, name, original)
            else:
                delattr(self.layer, name)


def recorder(layer: Any, head: Node, function: str) -> LogitsRecorder:
    """For the node that applies `function`, which `layer` of Keras made."""
    if function not in (SOFTMAX, SIGMOID):
        return LogitsRecorder(None, False)
    return LogitsRecorder(layer, isinstance(head.layer, Activation))
