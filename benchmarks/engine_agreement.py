"""How often engines give different classes for the same file, as docs/internals/graph.md shows.

    python -m benchmarks.engine_agreement runs/mnist

Converts a run to int8 and mixed. Runs each file on the test split in numpy and in every installed
engine, with its default and its reference kernels. Counts the windows whose classes differ from the full
model's, or between two engines or kernels. Prints Markdown and takes a minute and a half on two cores.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from convert.compiler.compile import lower
from convert.model_file.flatbuffer import serialize
from convert.options import ConversionOptions
from convert.pipeline import convert_source
from convert.proof.parity import engine_logits
from convert.readers.run_directory import open_run
from convert.source_model.source_model import SourceModel
from edge_runtime.engines.engine import installed_engines
from edge_runtime.numpy_engine.interpret import run
from edge_runtime.tflite.graph import Graph

PRECISIONS = ("int8", "mixed")
KERNELS = ("default", "reference")
BATCH = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    source = open_run(parser.parse_args().run)
    for precision in PRECISIONS:
        with tempfile.TemporaryDirectory() as folder:
            found = classes(source, precision, Path(folder))
        print(f"\n{precision}, windows of {len(source.held_out):,} with another class\n")
        print(f"| | {' | '.join(found)} |\n| --- |{' --- |' * len(found)}")
        for name, one in found.items():
            counts = " | ".join(str(int((one != other).sum())) for other in found.values())
            print(f"| {name} | {counts} |")


def classes(source: SourceModel, precision: str, folder: Path) -> dict[str, np.ndarray]:
    """Origin of the classes -> the classes of all test windows."""
    graph = lower(source.network, source.calibration, precision=precision)
    model = folder / "model.tflite"
    # The budget is not measured, so it is 0: the file is written in any case.
    convert_source(source, model, precision=precision, options=ConversionOptions(min_agreement=0.0))
    assert serialize(graph) == model.read_bytes()[: len(serialize(graph))]
    result = {
        "full model": source.logits.argmax(axis=1),
        "numpy": numpy_logits(source, graph).argmax(axis=1),
    }
    for engine in installed_engines():
        for kernels in KERNELS:
            logits = engine_logits(model, source.held_out.x, engine=engine, kernels=kernels)
            result[f"{engine}, {kernels}"] = logits.argmax(axis=1)
    return result


def numpy_logits(source: SourceModel, graph: Graph) -> np.ndarray:
    """Logits of the test windows by the converter's own run of the graph."""
    normalized = source.normalization.apply(source.held_out.x)
    integers = graph.tensors[graph.input].encode(normalized)
    parts = [run(graph, integers[k : k + BATCH]) for k in range(0, len(integers), BATCH)]
    return graph.tensors[graph.output].decode(np.concatenate(parts))


if __name__ == "__main__":
    main()
