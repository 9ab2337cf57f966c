"""Tries one engine: the child process of edge_runtime.doctor.trial.

    python -m edge_runtime.doctor.trial_child ENGINE RECORD MODEL

Before and after each stage, a line of JSON is appended to the file RECORD. If the process dies, the file
shows in which stage. MODEL may be empty.
"""

from __future__ import annotations

import json
import sys
from typing import Any, TextIO


def main(engine: str, record: str, model: str) -> int:
    """Every stage in turn; returns 1 when one raises, with the chain of exceptions in the record."""
    with open(record, "w", encoding="utf-8") as file:
        try:
            _stages(engine, model, file)
        except Exception as error:
            _note(file, failure=_chain(error))
            return 1
    return 0


def _stages(engine: str, model: str, file: TextIO) -> None:
    from edge_runtime.doctor.trial import COMPUTE, IMPORT, NUMPY_IMPORT, TRIAL_MODEL, USER_MODEL

    _note(file, stage=NUMPY_IMPORT)
    import numpy as np

    _note(file, numpy=np.__version__, stage=IMPORT)
    _note(file, kernels=_load_engine(engine), stage=COMPUTE)
    _note(file, verification=_verified(TRIAL_MODEL, engine))
    _note(file, xnnpack=has_delegate(_opened(TRIAL_MODEL, engine)))
    if model:
        _note(file, stage=USER_MODEL)
        _note(file, model=_verified(model, engine))
    _note(file, stage="")


def _load_engine(engine: str) -> str | None:
    """Import it, or load its library; the kernels that NATIVE uses on this processor."""
    from importlib import import_module

    from edge_runtime.engines.engine import ENGINES, NATIVE, native_kernels

    if engine in ENGINES:
        import_module(f"{ENGINES[engine]}.interpreter")
    return native_kernels()[0] if engine == NATIVE else None


def _verified(model: str, engine: str) -> dict[str, Any]:
    """The verification as JSON; for a file without probes, one window of zeros is run instead."""
    import numpy as np

    from edge_runtime.inference.predictor import Predictor

    with Predictor[Any](model, engine=engine) as predictor:
        if predictor.spec.probes is None:
            spec = predictor.spec
            predictor.outputs(np.zeros((spec.steps, spec.features), spec.normalization.dtype))
            return {"verified": None}
        result: dict[str, Any] = json.loads(predictor.verify().to_json())
    return result


def _opened(model: str, engine: str) -> Any:
    from edge_runtime.engines.engine import open_interpreter
    from edge_runtime.model_file.read_file import read_model

    return open_interpreter(read_model(model)[0], engine=engine)


def has_delegate(interpreter: Any) -> bool | None:
    """Whether an interpreter handed operators to a delegate, which by default is XNNPACK.

    None if the engine does not tell. Its message on standard error says the same, but each engine prints
    it at another time.
    """
    operators = getattr(interpreter, "_get_ops_details", None)
    return any(item["op_name"] == "DELEGATE" for item in operators()) if operators else None


def _chain(error: BaseException | None) -> str:
    """The messages of an exception and of what caused it, one after the other."""
    messages = []
    while error is not None:
        messages.append(f"{type(error).__name__}: {error}".strip())
        error = error.__cause__ or error.__context__
    return "\n".join(messages)


def _note(file: TextIO, **facts: Any) -> None:
    file.write(json.dumps(facts) + "\n")
    file.flush()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
