"""Which engine runs a model, and how it is opened.

Three tables list the engines: ENGINES has the TFLite engines, which are packages of their own,
OWN_ENGINES those that come with edge-rnn, and MICRO_ENGINES those for microcontrollers. Whatever opens a
model goes through `open_engine`.
"""

from __future__ import annotations

import importlib.util
from importlib import import_module
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Protocol

from edge_runtime.errors import EngineError, short_reason

if TYPE_CHECKING:
    from numpy.typing import NDArray

ENGINES = {
    "ai-edge-litert": "ai_edge_litert",
    "tflite-runtime": "tflite_runtime",
}
"""TFLite engines: distribution name -> package, the faster first."""

NATIVE = "native"
"""The engine in C (edge_runtime.native), where edge-rnn was installed with its library."""

NUMPY = "numpy"
"""The engine that needs no other package (edge_runtime.numpy_engine). It is tens of times slower, so
that it is never chosen by itself."""

NATIVE_KERNELS = ("plain", "avx2", "avx512-vnni", "neon", "neon-dotprod")
"""The kernels of NATIVE, by the instructions that they need. "plain" runs on every processor."""


class OwnEngine(NamedTuple):
    """An engine that comes with edge-rnn, or whose package edge-rnn gives the methods of Interpreter."""

    module: str
    interpreter: str
    """The class in `module` that implements Interpreter. It takes the FlatBuffer's bytes, and raises
    ValueError with a sentence for a model that it cannot run."""
    kernels: tuple[str, ...] = ()
    """What else than "default" the class takes as its argument `kernels`; () if it has none."""


OWN_ENGINES = {
    NATIVE: OwnEngine("edge_runtime.native.interpreter", "NativeInterpreter", NATIVE_KERNELS),
    NUMPY: OwnEngine("edge_runtime.numpy_engine.interpreter", "NumpyInterpreter"),
}
"""Name -> engine. Each has one thread, however many are asked for."""

TFLM = "tflite-micro"
MICRO_ENGINES = {TFLM: OwnEngine("edge_runtime.engines.micro", "MicroInterpreter")}
"""Engines for microcontrollers, which run here for a proof. AUTO chooses none of them."""

AUTO = "auto"
"""In place of an engine's name: NATIVE where it runs the model, or else the fastest TFLite engine that
is installed."""

RESOLVERS = {
    "default": "AUTO",
    "no-xnnpack": "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
    "reference": "BUILTIN_REF",
}
"""Which implementation of the operators -> name in the engine's OpResolverType."""

SHARED_WEIGHTS = "shared-weights"
"""Another kind of kernels: the default ones, with every matrix packed once (engines.shared_weights)."""

TFLITE_KERNELS = ("no-xnnpack", "reference", SHARED_WEIGHTS)
"""What only the TFLite engines have."""

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


class OpenEngine(NamedTuple):
    """An engine with a model loaded."""

    engine: str
    """Its name, never AUTO."""
    interpreter: Interpreter


def installed_engines() -> tuple[str, ...]:
    """Names of the TFLite engines that are installed, the fastest first. Imports none of them."""
    return tuple(name for name, package in ENGINES.items() if importlib.util.find_spec(package))


def usable_engines() -> tuple[str, ...]:
    """Names of the engines that AUTO takes, the first one first: NATIVE if its library can be loaded,
    and the TFLite engines that are installed."""
    try:
        native_kernels()
    except EngineError:
        return installed_engines()
    return (NATIVE, *installed_engines())


def native_kernels() -> tuple[str, ...]:
    """Those of NATIVE_KERNELS that this processor can run, the fastest first, which is the default.

    Raises EngineError that says why NATIVE's library is missing or cannot be loaded.
    """
    from edge_runtime.native.library import load_library

    return load_library().kernels


def engine_version(name: str) -> str:
    """The version of the engine `name`, e.g. "2.14.0"; NATIVE has that of edge-rnn itself.

    "unknown" for a package that no distribution of that name has installed, as with nightly wheels.
    """
    if name == NATIVE:
        return str(import_module("edge_runtime").__version__)
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


def check_engine_name(name: str) -> None:
    """Raises EngineError unless `name` is AUTO or the name of an engine, installed or not."""
    known = (AUTO, *ENGINES, *OWN_ENGINES, *MICRO_ENGINES)
    if name not in known:
        *names, last = known
        raise EngineError(f"unknown engine {name!r}. Choose {', '.join(names)} or {last}.")


def open_interpreter(
    flatbuffer: bytes, *, engine: str = AUTO, threads: int = 1, kernels: str = "default"
) -> Interpreter:
    """The interpreter of `open_engine`, which says more."""
    return open_engine(flatbuffer, engine=engine, threads=threads, kernels=kernels).interpreter


def open_engine(
    flatbuffer: bytes, *, engine: str = AUTO, threads: int = 1, kernels: str = "default"
) -> OpenEngine:
    """An engine with the model loaded and its tensors allocated.

    `kernels`: "default", or for a TFLite engine "no-xnnpack" or "reference" (default: XNNPACK where the
    engine has it), for ai-edge-litert "shared-weights", for NATIVE one of NATIVE_KERNELS. AUTO takes an
    engine that has them. Raises EngineError for kernels that the engine lacks, and when the engine is
    missing, cannot be loaded, or refuses the model. AUTO goes on to a TFLite engine where NATIVE does
    that, and to the next TFLite engine where one cannot be imported.
    """
    check_engine_name(engine)
    _check_options(engine, threads, kernels)
    if engine == AUTO and kernels not in TFLITE_KERNELS:
        return _native_or_other(flatbuffer, threads, kernels)
    name = _first_importable([]) if engine == AUTO else engine
    return OpenEngine(name, _opened(name, flatbuffer, threads, kernels))


def _native_or_other(flatbuffer: bytes, threads: int, kernels: str) -> OpenEngine:
    try:
        return OpenEngine(NATIVE, _opened(NATIVE, flatbuffer, threads, kernels))
    except EngineError as error:
        if kernels in NATIVE_KERNELS:
            raise
        name = _first_importable([short_reason(error)])
    return OpenEngine(name, _opened(name, flatbuffer, threads, kernels))


def _check_options(engine: str, threads: int, kernels: str) -> None:
    if not isinstance(threads, int) or not 1 <= threads <= MOST_THREADS:
        raise EngineError(f"threads is {threads!r}. Expected a whole number from 1 to {MOST_THREADS}.")
    known = ["default"]
    known += TFLITE_KERNELS if engine != NATIVE else ()
    known += NATIVE_KERNELS if engine in (AUTO, NATIVE) else ()
    if kernels not in known:
        *names, last = known
        whose = "" if engine == AUTO else f" of {engine}"
        raise EngineError(f"unknown kernels {kernels!r}{whose}. Expected {', '.join(names)} or {last}.")


def _first_importable(reasons: list[str]) -> str:
    """The first TFLite engine that can be imported; `reasons`: why not the engines before them."""
    for name in installed_engines():
        try:
            _import_engine(name)
        except EngineError as error:
            reasons.append(str(error))
        else:
            return name
    if not installed_engines():
        reasons.append(
            "no TFLite engine is installed. Run pip install tflite-runtime (CPython 3.9 to 3.11 on "
            "Linux) or pip install ai-edge-litert"
        )
    raise EngineError(
        f"{', and '.join(reasons)}. 'edge-rnn doctor' says more. --engine numpy works without a TFLite "
        "engine, slowly."
    )


def _import_engine(name: str) -> Any:
    try:
        return import_module(f"{ENGINES[name]}.interpreter")
    except Exception as error:  # an engine built for another numpy, glibc or CPU
        raise EngineError(f"the engine {name} cannot be imported ({short_reason(error)})") from error


def _opened(name: str, flatbuffer: bytes, threads: int, kernels: str) -> Interpreter:
    """The model in one engine. Raises EngineError."""
    try:
        adapted = {**OWN_ENGINES, **MICRO_ENGINES}.get(name)
        if adapted:
            return _own_interpreter(adapted, flatbuffer, kernels)
        if name not in installed_engines():
            raise EngineError(f"the engine {name} is not installed. Run pip install {name}.")
        if kernels == SHARED_WEIGHTS:
            return _with_shared_weights(name, flatbuffer, threads)
        return _tflite_interpreter(name, flatbuffer, threads, kernels)
    except (RuntimeError, ValueError, MemoryError) as error:
        raise EngineError(f"{name} refuses the model ({short_reason(error)})") from error
    except SystemError as error:  # an engine that imports numpy only now, built for another one
        cause = short_reason(error.__cause__ or error)
        raise EngineError(f"{name} cannot run ({cause}). 'edge-rnn doctor' says more.") from error


def _own_interpreter(engine: OwnEngine, flatbuffer: bytes, kernels: str) -> Interpreter:
    make: Callable[..., Interpreter] = getattr(import_module(engine.module), engine.interpreter)
    if kernels not in engine.kernels:
        return make(flatbuffer)
    usable = native_kernels()
    if kernels not in usable:
        raise EngineError(f"this processor has no kernels {kernels!r}. It has {', '.join(usable)}.")
    return make(flatbuffer, kernels=kernels)


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
