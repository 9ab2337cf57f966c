"""Graph -> the same graph without operators that nothing reads.

Taking some rows of a sequence (network.TakeRows) leaves the steps behind it without a reader.
"""

from __future__ import annotations

from edge_runtime.tflite.graph import Graph


def without_unread(graph: Graph) -> Graph:
    """The operators that the outputs depend on, and the tensors of these and of the inputs."""
    wanted = set(graph.outputs)
    kept = []
    for operator in reversed(graph.operators):
        if wanted.intersection(operator.outputs):
            kept.append(operator)
            wanted.update(operator.inputs)
    named = {name for operator in kept for name in (*operator.inputs, *operator.outputs)}
    named.update(graph.inputs, graph.outputs)
    tensors = {name: tensor for name, tensor in graph.tensors.items() if name in named}
    return Graph(tensors, tuple(reversed(kept)), graph.inputs, graph.outputs)
