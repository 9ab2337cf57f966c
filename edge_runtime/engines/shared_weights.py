"""An interpreter of ai-edge-litert in which every matrix is packed once, however many steps read it.

XNNPACK packs the matrix of every FULLY_CONNECTED operator separately, unless it has a cache. An unrolled
graph then has a copy for every step. The copies no longer fit into the processor's caches, and memory
limits the speed. tflite.Interpreter offers no such cache to Python; LiteRT's CompiledModel does, and
its path ":memory" means one that is never written to a file (TFLite, xnnpack_delegate.h:
TfLiteXNNPackDelegateInMemoryFilePath).

The packed form of an integer matmul includes its input's zero_point and the scales around it, but the
cache distinguishes entries by weights and bias alone. If another step had other scales, it would
silently compute with those of the first one. The converter gives all steps the same scales, checks that
(convert's shared_packing) and says so in the file; a file that does not say so is refused. int16x8 has
nothing to share, because XNNPACK has no such matmul.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import EngineError

IN_MEMORY = ":memory"
PACKAGE = "ai_edge_litert"


class SharedWeightsInterpreter:
    """The methods of tflite.Interpreter that edge_runtime calls, on a CompiledModel.

    Raises EngineError where the installed engine has no CompiledModel with such a cache, and
    RuntimeError or ValueError, as an Interpreter does, when the engine refuses the model.
    """

    def __init__(self, flatbuffer: bytes, threads: int) -> None:
        compiled, options, cpu = _modules("compiled_model", "options", "cpu_options")
        accelerators = _modules("hardware_accelerator")[0].HardwareAccelerator
        self._inputs, self._outputs = _details(flatbuffer)
        chosen = cpu.CpuOptions(num_threads=threads, xnnpack_weight_cache_path=IN_MEMORY)
        self._model = compiled.CompiledModel.from_buffer(
            flatbuffer,
            options=options.Options(hardware_accelerators=accelerators.CPU, cpu_options=chosen),
        )
        names = self._model.get_signature_by_index(0)
        self._written = self._model.create_input_buffers(0)
        self._read = self._model.create_output_buffers(0)
        self._sources = _by_index(self._inputs, names["inputs"], self._written)
        self._results = _by_index(self._outputs, names["outputs"], self._read)
        # The first use of a buffer makes an environment, which LiteRT announces on standard error: now,
        # where commands hold that back, and not with the first window.
        for detail in self._inputs:
            self.set_tensor(detail["index"], np.zeros(detail["shape"], detail["dtype"]))

    def get_input_details(self) -> list[dict[str, Any]]:
        """See engine.Interpreter."""
        return self._inputs

    def get_output_details(self) -> list[dict[str, Any]]:
        """See engine.Interpreter."""
        return self._outputs

    def set_tensor(self, index: int, value: NDArray[Any]) -> None:
        """Fill the input with that index."""
        _, buffer = self._sources[index]
        buffer.write(value)

    def invoke(self) -> None:
        """Run the model."""
        self._model.run_by_index(0, self._written, self._read)

    def get_tensor(self, index: int) -> NDArray[Any]:
        """A copy of the output with that index."""
        detail, buffer = self._results[index]
        shape = tuple(detail["shape"])
        values: NDArray[Any] = buffer.read(int(np.prod(shape)), detail["dtype"])
        return values.reshape(shape)


def _modules(*names: str) -> list[Any]:
    try:
        return [import_module(f"{PACKAGE}.{name}") for name in names]
    except ImportError as error:
        raise EngineError(
            f"shared weights need ai-edge-litert 2.1.6 or newer with all that it depends on ({error})"
        ) from None


def _details(flatbuffer: bytes) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The inputs and outputs, from an Interpreter that never runs: CompiledModel knows no scales."""
    module = _modules("interpreter")[0]
    plain = module.Interpreter(
        model_content=flatbuffer, experimental_op_resolver_type=module.OpResolverType.BUILTIN_REF
    )
    return plain.get_input_details(), plain.get_output_details()


def _by_index(
    details: list[dict[str, Any]], names: list[str], buffers: list[Any]
) -> dict[int, tuple[dict[str, Any], Any]]:
    found = dict(zip(names, buffers))
    return {detail["index"]: (detail, found[detail["name"]]) for detail in details}
