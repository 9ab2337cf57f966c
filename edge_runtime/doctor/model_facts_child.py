"""Reads a model file without any engine: the child process of edge_runtime.doctor.model_facts.

    python -m edge_runtime.doctor.model_facts_child MODEL RECORD

writes a JSON object to RECORD: the fields of model_facts.ModelFacts, or `error`, a sentence.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from edge_runtime.errors import ModelError
from edge_runtime.model_file.metadata import Metadata
from edge_runtime.model_file.read_file import read_model
from edge_runtime.numpy_engine.read_graph import read_operators
from edge_runtime.tflite.flatbuffer_reader import MalformedError


def main(model: str, record: str) -> int:
    """Read the model, write the record; returns 0 always, because a bad file is an answer as well."""
    try:
        flatbuffer, metadata = read_model(model)
        facts = _facts(metadata.check(model), read_operators(flatbuffer))
    except ModelError as error:
        facts = {"error": str(error)}
    except MalformedError as error:
        facts = {"error": f"{model}: not a sound TFLite model ({error})."}
    Path(record).write_text(json.dumps(facts), "utf-8")
    return 0


def _facts(metadata: Metadata, operators: list[tuple[str, int]]) -> dict[str, Any]:
    engines = metadata.parity.engines if metadata.parity else ()
    return {
        "precision": metadata.precision,
        "target": metadata.target,
        "operators": operators,
        "proven": [f"{item.engine} {item.version}" for item in engines if item.failure is None],
    }


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
