"""Computes logits of many models in one process, on an emulated board and, for comparison, on x86.

    python logits_child.py JOB.json

The job names an engine, the file to write, and runs. Each run has a key, a model, windows and kernels.
The file is an .npz with the logits under each run's key. A .json file beside it has the line of `verify`
for the model with the default kernels, or the error of a run that failed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from edge_runtime import Classifier
from edge_runtime.errors import EdgeRnnError
from edge_runtime.model_file.read_file import read_model
from edge_runtime.numpy_engine.interpret import run_all
from edge_runtime.numpy_engine.read_graph import read_graph


def main(job: dict) -> None:
    logits, said = {}, {}
    for run in job["runs"]:
        windows, engine = np.load(run["windows"]), job["engine"]
        try:
            with Classifier(run["model"], engine=engine, kernels=run["kernels"]) as model:
                if run["kernels"] == "default":
                    said[run["key"]] = str(model.verify())
                logits[run["key"]] = (
                    at_once(run["model"], windows) if engine == "numpy" else model.logits(windows)
                )
        except EdgeRnnError as error:
            said[run["key"]] = str(error)
    np.savez(job["logits"], **logits)
    Path(job["logits"]).with_suffix(".json").write_text(json.dumps(said))


def at_once(path: str, windows: np.ndarray) -> np.ndarray:
    """The numpy engine's kernels on all windows together. In the emulation, one by one takes minutes."""
    flatbuffer, metadata = read_model(path)
    graph = read_graph(flatbuffer)
    values = graph.tensors[graph.input].encode(metadata.normalization.apply(windows))
    (found,) = run_all(graph, [values])
    return graph.tensors[graph.output].decode(found)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
