"""Runs test graphs in the engine of this interpreter: the child process of engine_table.py.

    python -m scripts.engine_probe ENGINE FOLDER

FOLDER holds the cases 0.tflite, 1.tflite, ... with their inputs in 0.npz, 1.npz, ... It also holds
versions.npz, which contains files of one operator code each. For case N and each kind of kernels, the
answer goes to N-KIND.npz, or to N-KIND.txt if the engine refuses the file. Cases with an answer are
skipped, so after a crash the next process goes on. The case that crashed leaves N-KIND.started.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from edge_runtime.engines.engine import MICRO_ENGINES, NATIVE, RESOLVERS, open_interpreter
from edge_runtime.errors import EngineError


def main(engine: str, folder: Path) -> None:
    """Run every case with every kind of kernels, then try the versions."""
    cases = sorted((path for path in folder.glob("*.tflite")), key=lambda path: int(path.stem))
    for case in cases:
        for kernels in kinds(engine):
            mark = folder / f"{case.stem}-{kernels}.started"
            if not mark.exists():
                mark.touch()
                probe(case, engine, kernels)
    loaded = []
    if engine not in MICRO_ENGINES:  # which do not look at versions
        with np.load(folder / "versions.npz") as files:
            loaded = [name for name in files if loads(files[name].tobytes(), engine)]
    (folder / "loaded.txt").write_text("\n".join(loaded))


def kinds(engine: str) -> tuple[str, ...]:
    """The kinds of kernels that every machine with the engine has, the default one first."""
    if engine in MICRO_ENGINES:
        return ("default",)
    return ("default", "plain") if engine == NATIVE else tuple(RESOLVERS)


def probe(case: Path, engine: str, kernels: str) -> None:
    """The outputs of one case, stacked, or the engine's message."""
    answer = case.with_name(f"{case.stem}-{kernels}")
    with np.load(case.with_suffix(".npz")) as arrays:
        inputs = [arrays[f"arr_{k}"] for k in range(len(arrays.files))]
    try:
        interpreter = open_interpreter(case.read_bytes(), engine=engine, kernels=kernels)
        outputs = [invoke(interpreter, values) for values in zip(*inputs)]
    except (EngineError, RuntimeError, ValueError) as error:
        answer.with_suffix(".txt").write_text(str(error).strip() or type(error).__name__)
        return
    np.savez(answer.with_suffix(".npz"), *(np.stack(column) for column in zip(*outputs)))


def invoke(interpreter: Any, values: tuple[np.ndarray, ...]) -> list[np.ndarray]:
    """One call with a value for each input. Axes of length one do not matter."""
    for detail, value in zip(interpreter.get_input_details(), values):
        interpreter.set_tensor(detail["index"], value.reshape(detail["shape"]))
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


def loads(flatbuffer: bytes, engine: str) -> bool:
    """Whether the engine has an operator for every operator code of the file."""
    try:
        open_interpreter(flatbuffer, engine=engine, kernels=kinds(engine)[1])
    except EngineError:  # "Didn't find op ..." or "Op builtin_code out of range"
        return False
    return True


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
