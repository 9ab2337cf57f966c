"""Writes edge_runtime/doctor/operator_facts.json: the part of the target table that a device needs.

    python -m scripts.operator_facts            # after scripts/engine_table.py
    python -m scripts.operator_facts --check    # compares the file with the table

For every engine, `edge-rnn doctor` needs the highest version of each operator that the converter writes,
and the precisions that the engine supports.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from convert.targets.precision import offered
from convert.targets.target import ANY, TARGETS, Engine
from edge_runtime.doctor.operators import OPERATOR_FACTS
from edge_runtime.host.atomic_file import replacing
from edge_runtime.tflite.graph import Op


def main() -> None:
    """Write, or check."""
    engines = [record(engine) for engine in TARGETS[ANY].engines]
    text = json.dumps({"made_by": "scripts/operator_facts.py", "engines": engines}, indent=1) + "\n"
    if "--check" in sys.argv:
        stale = OPERATOR_FACTS.read_text("utf-8") != text
        message = f"{OPERATOR_FACTS.name} is not in step: python -m scripts.operator_facts"
        sys.exit(message if stale else None)
    with replacing(OPERATOR_FACTS) as temporary:
        temporary.write_text(text, "utf-8")


def record(engine: Engine) -> dict[str, Any]:
    """The facts about one series."""
    return {
        "name": engine.name,
        "package": engine.distribution,
        "series": engine.series,
        "precisions": offered(TARGETS[engine.name]),
        "op_versions": {op.value: engine.op_versions[op.value] for op in Op if op in engine.op_versions},
    }


if __name__ == "__main__":
    main()
