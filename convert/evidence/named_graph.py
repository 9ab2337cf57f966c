"""A file's graph with the converter's names of its tensors, which tell the gates and the steps.

Files have no such names, as these would take many bytes. But a file keeps the order of its tensors, and
the converter makes the same graph from the same network, mostly whatever its scales. So the graph is
made again, on a few windows or else on all of them, and gives its names to the file's tensors, if it is
the same one.
"""

from __future__ import annotations

from dataclasses import replace

from convert.compiler.compile import lower
from convert.source_model.source_model import SourceModel
from convert.targets.target import target_named
from edge_runtime.model_file.metadata import Metadata
from edge_runtime.runs.recorded_graph import graph_of
from edge_runtime.tflite.graph import Graph

FEW_CALIBRATION_WINDOWS = 20


def named_graph(graph: Graph, metadata: Metadata, source: SourceModel) -> Graph | None:
    """`graph`, as read from a file with that metadata, under the converter's names.

    None if this edge-rnn makes another graph from `source`: it is another model, or was converted with a
    recipe or by another version.
    """
    for windows in (source.calibration[:FEW_CALIBRATION_WINDOWS], source.calibration):
        found = _named_like(graph, _made_again(metadata, replace(source, calibration=windows)))
        if found is not None:
            return found
    return None


def _named_like(graph: Graph, made: Graph) -> Graph | None:
    if len(made.tensors) != len(graph.tensors):
        return None
    names = dict(zip(graph.tensors, made.tensors))

    def named(numbers: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(names.get(number, number) for number in numbers)

    result = Graph(
        {names[number]: replace(tensor, name=names[number]) for number, tensor in graph.tensors.items()},
        tuple(
            replace(item, inputs=named(item.inputs), outputs=named(item.outputs))
            for item in graph.operators
        ),
        named(graph.inputs),
        named(graph.outputs),
    )
    return result if _structure(result) == _structure(made) else None


def _made_again(metadata: Metadata, source: SourceModel) -> Graph:
    finetuned = source.finetuned
    if finetuned is not None and finetuned.graph.precision == metadata.precision:
        return graph_of(finetuned.graph)
    return lower(
        source.network,
        source.calibration,
        precision=metadata.precision,
        target=target_named(metadata.target),
        graph=metadata.graph,
    )


def _structure(graph: Graph) -> object:
    """Operators and tensors without what calibration decides."""
    tensors = [(name, item.shape, item.dtype) for name, item in graph.tensors.items()]
    operators = [(item.op, item.inputs, item.outputs) for item in graph.operators]
    return tensors, operators, graph.inputs, graph.outputs
