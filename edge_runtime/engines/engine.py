"""Which TFLite engine runs the model, and how it is opened."""

from __future__ import annotations

import importlib.util
from importlib import import_module
from typing import Any

from edge_runtime.errors import EngineError, reason

ENGINES = {
    "ai-edge-litert": "ai_edge_litert",
    "tflite-runtime": "tflite_runtime",
}
"""TFLite engines: distribution name -> package, the faster first."""

NUMPY = "numpy"
"""The engine that needs no other package (edge_runtime.numpy_engine); never chosen by itself, as it is
tens of times slower."""

AUTO = "auto"
"""In place of an engine's name: the fastest TFLite engine that is installed."""

KERNELS = {
    "default": "AUTO",
    "no-xnnpack": "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
    "reference": "BUILTIN_REF",
}
"""Which implementation of the operators -> name in the engine's OpResolverType."""

MOST_THREADS = 1024
"""Of an engine; they believe any number."""

SHARED_WEIGHTS = "shared-weights"
"""Another kind of kernels: the default ones, with every matrix packed once (shared_weights)."""


def installed_engines() -> tuple[str, ...]:
    """Names of the engines that are installed, the fastest first. Imports none of them."""
    return tuple(name for name, package in ENGINES.items() if importlib.util.find_spec(package))


def engine_version(name: str) -> str:
    """The version of the installed engine `name`, e.g. "2.14.0"; of the numpy engine that of numpy.

    "unknown" of a package that no distribution of that name has installed, as nightly wheels are.
    """
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


def check_engine_name(name: str) -> None:
    """Raises EngineError for a name that is no engine's, installed or not, nor AUTO."""
    if name not in (AUTO, NUMPY, *ENGINES):
        raise EngineError(f"unknown engine {name!r}: choose {AUTO}, {', '.join(ENGINES)} or {NUMPY}")


def choose_engine(name: str = "auto") -> str:
    """The engine to use: `name` itself, or for "auto" the fastest that is installed and can be imported.

    Raises EngineError when it is unknown, not installed or, for "auto", when none can be imported.
    """
    check_engine_name(name)
    installed = installed_engines()
    if name == AUTO:
        return _first_importable(installed)
    if name == NUMPY:
        return name
    if name not in installed:
        raise EngineError(f"the engine {name} is not installed: pip install {name}")
    return name


def _first_importable(installed: tuple[str, ...]) -> str:
    reasons = []
    for name in installed:
        try:
            _import_engine(name)
        except EngineError as error:
            reasons.append(str(error))
        else:
            return name
    problem = "; ".join(reasons) or (
        "no TFLite engine is installed: pip install tflite-runtime (CPython 3.9 to 3.11 on Linux) "
        "or pip install ai-edge-litert"
    )
    raise EngineError(f"{problem} ('edge-rnn doctor' says more; --engine numpy works without, slowly)")


def _import_engine(name: str) -> Any:
    try:
        return import_module(f"{ENGINES[name]}.interpreter")
    except Exception as error:  # an engine built for another numpy, glibc or CPU
        raise EngineError(f"the engine {name} cannot be imported: {_first_line(error)}") from error


def open_interpreter(
    flatbuffer: bytes, *, engine: str = "auto", threads: int = 1, kernels: str = "default"
) -> Any:
    """An interpreter of the installed engine with the model loaded and its tensors allocated.

    `kernels`: "default" (XNNPACK where the engine has it), "no-xnnpack", "reference", or for
    ai-edge-litert "shared-weights"; the numpy engine has one kind. Raises EngineError when the
    engine is missing, cannot be imported, or refuses the model.
    """
    name = choose_engine(engine)
    if not isinstance(threads, int) or not 1 <= threads <= MOST_THREADS:
        raise EngineError(f"threads is {threads!r}: expected a whole number from 1 to {MOST_THREADS}")
    try:
        if name == NUMPY:
            return _numpy_interpreter(flatbuffer)
        module = _import_engine(name)
        if kernels == SHARED_WEIGHTS:
            return _with_shared_weights(name, flatbuffer, threads)
        resolver = getattr(module.OpResolverType, KERNELS[kernels])
        interpreter = module.Interpreter(
            model_content=flatbuffer, num_threads=threads, experimental_op_resolver_type=resolver
        )
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError, MemoryError) as error:
        raise EngineError(f"{name} refuses the model: {_first_line(error)}") from error
    except SystemError as error:  # an engine that imports numpy only now, built for another one
        cause = _first_line(error.__cause__ or error)
        raise EngineError(f"{name} cannot run: {cause} ('edge-rnn doctor' says more)") from error
    return interpreter


def _numpy_interpreter(flatbuffer: bytes) -> Any:
    from edge_runtime.numpy_engine.interpreter import NumpyInterpreter

    return NumpyInterpreter(flatbuffer)


def _with_shared_weights(name: str, flatbuffer: bytes, threads: int) -> Any:
    if name != "ai-edge-litert":
        raise EngineError(f"shared weights need the engine ai-edge-litert, found {name}")
    from edge_runtime.engines.shared_weights import SharedWeightsInterpreter

    return SharedWeightsInterpreter(flatbuffer, threads)


def _first_line(error: BaseException) -> str:
    return reason(next(iter(str(error).splitlines()), type(error).__name__))
