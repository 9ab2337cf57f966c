"""Which engine runs a model, and how it is opened.

Three tables list the engines: ENGINES has the TFLite engines, which are packages of their own,
OWN_ENGINES those that come with edge-rnn, and MICRO_ENGINES those for microcontrollers. Whatever opens a
model goes through `open_interpreter`.
"""

from __future__ import annotations

import importlib.util
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from edge_runtime.errors import EngineError, short_reason

if TYPE_CHECKING:
    from numpy.typing import NDArray

ENGINES = {
    "ai-edge-litert": "ai_edge_litert",
    "tflite-runtime": "tflite_runtime",
}
"""TFLite engines: distribution name -> package, the faster first."""

NUMPY = "numpy"
"""The engine that needs no other package (edge_runtime.numpy_engine). It is tens of times slower, so
that it is never chosen by itself."""


class OwnEngine(NamedTuple):
    """An engine that comes with edge-rnn, or whose package edge-rnn gives the methods of Interpreter."""

    module: str
    interpreter: str
    """The class in `module` that implements Interpreter. It takes the FlatBuffer's bytes, and raises
    ValueError with a sentence for a model that it cannot run."""
    distribution: str
    """The distribution whose version decides what the engine computes."""


OWN_ENGINES = {NUMPY: OwnEngine("edge_runtime.numpy_engine.interpreter", "NumpyInterpreter", "numpy")}
"""Name -> engine. AUTO chooses none of them."""

TFLM = "tflite-micro"
MICRO_ENGINES = {TFLM: OwnEngine("edge_runtime.engines.micro", "MicroInterpreter", TFLM)}
"""Engines for microcontrollers, which run here for a proof. AUTO chooses none of them."""

AUTO = "auto"
"""In place of an engine's name: the fastest TFLite engine that is installed."""

RESOLVERS = {
    "default": "AUTO",
    "no-xnnpack": "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
    "reference": "BUILTIN_REF",
}
"""Which implementation of the operators -> name in the engine's OpResolverType."""

SHARED_WEIGHTS = "shared-weights"
"""Another kind of kernels: the default ones, with every matrix packed once (engines.shared_weights)."""

MOST_THREADS = 1024
"""The largest number of threads for an engine. The engines themselves accept any number."""


class Interpreter(Protocol):
    """The methods of tflite.Interpreter that edge_runtime calls; every engine has them.

    The model is loaded and its tensors are allocated. The methods raise RuntimeError or ValueError when
    the engine fails.
    """

    def get_input_details(self) -> list[dict[str, Any]]:
        """For each input: `name`, `index`, `shape` (int32 array), `dtype` (numpy type), `quantization`
        (scale and zero_point; 0.0 and 0 for float32)."""

    def get_output_details(self) -> list[dict[str, Any]]:
        """The same for each output."""

    def set_tensor(self, index: int, value: NDArray[Any]) -> None:
        """Fill the input with that index."""

    def invoke(self) -> None:
        """Run the model."""

    def get_tensor(self, index: int) -> NDArray[Any]:
        """A copy of the output with that index."""


def installed_engines() -> tuple[str, ...]:
    """Names of the TFLite engines that are installed, the fastest first. Imports none of them."""
    return tuple(name for name, package in ENGINES.items() if importlib.util.find_spec(package))


def engine_version(name: str) -> str:
    """The version of the engine `name`, e.g. "2.14.0"; for the numpy engine that of numpy.

    "unknown" for a package that no distribution of that name has installed, as with nightly wheels.
    """
    from importlib.metadata import PackageNotFoundError, version

    own = {**OWN_ENGINES, **MICRO_ENGINES}.get(name)
    try:
        return version(own.distribution if own else name)
    except PackageNotFoundError:
        return "unknown"


def check_engine_name(name: str) -> None:
    """Raises EngineError unless `name` is AUTO or the name of an engine, installed or not."""
    known = (AUTO, *ENGINES, *OWN_ENGINES, *MICRO_ENGINES)
    if name not in known:
        *names, last = known
        raise EngineError(f"unknown engine {name!r}. Choose {', '.join(names)} or {last}.")


def choose_engine(name: str = AUTO) -> str:
    """The engine to use: `name` itself, or for "auto" the fastest that is installed and can be imported.

    Raises EngineError when it is unknown, not installed or, for "auto", when none can be imported.
    """
    check_engine_name(name)
    installed = installed_engines()
    if name == AUTO:
        return _first_importable(installed)
    if name not in (*installed, *OWN_ENGINES, *MICRO_ENGINES):
        raise EngineError(f"the engine {name} is not installed. Run pip install {name}.")
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
    problem = ", and ".join(reasons) or (
        "no TFLite engine is installed. Run pip install tflite-runtime (CPython 3.9 to 3.11 on Linux) "
        "or pip install ai-edge-litert"
    )
    raise EngineError(
        f"{problem}. 'edge-rnn doctor' says more. --engine numpy works without a TFLite engine, slowly."
    )


def _import_engine(name: str) -> Any:
    try:
        return import_module(f"{ENGINES[name]}.interpreter")
    except Exception as error:  # an engine built for another numpy, glibc or CPU
        raise EngineError(f"the engine {name} cannot be imported ({short_reason(error)})") from error


def open_interpreter(
    flatbuffer: bytes, *, engine: str = AUTO, threads: int = 1, kernels: str = "default"
) -> Interpreter:
    """An interpreter of the engine with the model loaded and its tensors allocated.

    `kernels`: "default" (XNNPACK where the engine has it), "no-xnnpack", "reference", or for
    ai-edge-litert "shared-weights". An engine of OWN_ENGINES or MICRO_ENGINES has one kind and one
    thread. Raises EngineError for an unknown kind of kernels, and when the engine is missing, cannot be
    imported, or refuses the model.
    """
    name = choose_engine(engine)
    _check_options(threads, kernels)
    try:
        adapted = {**OWN_ENGINES, **MICRO_ENGINES}.get(name)
        if adapted:
            return _own_interpreter(adapted, flatbuffer)
        if kernels == SHARED_WEIGHTS:
            return _with_shared_weights(name, flatbuffer, threads)
        return _tflite_interpreter(name, flatbuffer, threads, kernels)
    except (RuntimeError, ValueError, MemoryError) as error:
        raise EngineError(f"{name} refuses the model ({short_reason(error)})") from error
    except SystemError as error:  # an engine that imports numpy only now, built for another one
        cause = short_reason(error.__cause__ or error)
        raise EngineError(f"{name} cannot run ({cause}). 'edge-rnn doctor' says more.") from error


def _check_options(threads: int, kernels: str) -> None:
    if not isinstance(threads, int) or not 1 <= threads <= MOST_THREADS:
        raise EngineError(f"threads is {threads!r}. Expected a whole number from 1 to {MOST_THREADS}.")
    if kernels not in (*RESOLVERS, SHARED_WEIGHTS):
        expected = f"{', '.join(RESOLVERS)} or {SHARED_WEIGHTS}"
        raise EngineError(f"unknown kernels {kernels!r}. Expected {expected}.")


def _own_interpreter(engine: OwnEngine, flatbuffer: bytes) -> Interpreter:
    interpreter: Interpreter = getattr(import_module(engine.module), engine.interpreter)(flatbuffer)
    return interpreter


def _tflite_interpreter(name: str, flatbuffer: bytes, threads: int, kernels: str) -> Interpreter:
    module = _import_engine(name)
    interpreter = module.Interpreter(
        model_content=flatbuffer,
        num_threads=threads,
        experimental_op_resolver_type=getattr(module.OpResolverType, RESOLVERS[kernels]),
    )
    interpreter.allocate_tensors()
    opened: Interpreter = interpreter
    return opened


def _with_shared_weights(name: str, flatbuffer: bytes, threads: int) -> Interpreter:
    if name != "ai-edge-litert":
        raise EngineError(f"shared weights need the engine ai-edge-litert, found {name}")
    _import_engine(name)
    from edge_runtime.engines.shared_weights import SharedWeightsInterpreter

    return SharedWeightsInterpreter(flatbuffer, threads)
