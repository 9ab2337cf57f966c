"""What goes into a model's input tensor, and what comes out as logits, in buffers made once.

The numbers are those that Normalization.apply, quantize and dequantize give one after the other, bit for
bit. What depends on one byte only is looked up: pixels, and 8-bit logits.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any, Callable

import numpy as np

from edge_runtime.errors import EngineError, InputError, ModelError, reason
from edge_runtime.model_file.normalization import TOO_LARGE, Normalization
from edge_runtime.tflite.quantization import dequantize, quantize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Float32 = NDArray[np.float32]

QUANTIZED = (np.int8, np.int16)

LOGITS_TOO_LARGE = (
    "the logits are NaN or infinite, because the window's numbers are too large for this model"
)


class InputTensor:
    """Fills the input tensor `detail` (tflite.Interpreter.get_input_details) from raw windows.

    `values` has the tensor's shape and dtype; `fill` overwrites it. `index` is the tensor's number.
    """

    def __init__(self, detail: dict[str, Any], normalization: Normalization) -> None:
        shape, self._dtype = tuple(map(int, detail["shape"])), detail["dtype"]
        self.index: int = detail["index"]
        self.values: NDArray[Any] = np.zeros(shape, self._dtype)
        self._one = self.values[0]
        self._affine = detail["quantization"] if self._dtype in QUANTIZED else None
        self._tokens = normalization.apply if normalization.tokens else None
        self._mean = np.asarray(normalization.mean, np.float32)
        self._std = np.asarray(normalization.std, np.float32)
        self._real = self._one if self._affine is None else np.zeros(shape[1:], np.float32)
        self._flat = self._real.reshape(-1)
        self.fill_bytes = self._lookup(normalization)
        """`fill` for uint8 windows, where all features are normalized alike; None otherwise."""
        self._limits = np.iinfo(np.int8 if self._affine is None else self._dtype)
        scale = 1.0 if self._affine is None else self._affine[0]
        tame = (np.abs(self._mean) < 1e18).all() and (np.abs(self._std) > 1e-9).all()
        self._tame = bool(tame and scale > 1e-9)

    def _lookup(self, normalization: Normalization) -> Callable[[NDArray[Any]], Any] | None:
        table = byte_table(normalization, self._dtype, self._affine)
        if table is None:
            return None
        # No index is out of range; the mode spares numpy the check, and a copy.
        return partial(table.take, out=self._one, mode="wrap")

    def fill(self, raw: NDArray[Any]) -> None:
        """Normalize, and quantize where the tensor is integer, one raw window or row (any real dtype).

        Raises InputError for NaN, infinity, and numbers that become infinite in float32, and for numbers
        that are no tokens where the model takes tokens.
        """
        if self._tokens is not None:
            np.copyto(self._one, self._tokens(raw))
            return
        if self.fill_bytes is not None and raw.dtype == np.uint8:
            self.fill_bytes(raw)
            return
        if raw.dtype == np.float32 and self._tame and self._moderate(raw):
            self._normalize()
            self._quantize()
            return
        with np.errstate(over="ignore", invalid="ignore"):
            np.copyto(self._real, raw, casting="unsafe")
            self._normalize()
            if not np.isfinite(self._real).all():
                raise InputError(TOO_LARGE)
            self._quantize()

    def _moderate(self, raw: Float32) -> bool:
        """Copy `raw`; whether its numbers are finite and so small that nothing can overflow.

        A sum of squares in float32 is finite only if every number is, and none is above 1.9e19.
        """
        np.copyto(self._real, raw)
        return math.isfinite(np.vdot(self._flat, self._flat))  # without the warning that dot may give

    def _normalize(self) -> None:
        np.subtract(self._real, self._mean, out=self._real)
        np.divide(self._real, self._std, out=self._real)

    def _quantize(self) -> None:
        """As quantization.quantize: to nearest, ties to even, saturating. Not for float tensors."""
        if self._affine is None:
            return
        (scale, zero_point), limits, real = self._affine, self._limits, self._real
        np.divide(real, np.float32(scale), out=real)
        np.rint(real, out=real)
        np.add(real, np.float32(zero_point), out=real)
        np.minimum(real, limits.max, out=real)
        np.maximum(real, limits.min, out=real)
        np.copyto(self._one, real, casting="unsafe")


def byte_table(
    normalization: Normalization, dtype: Any, affine: tuple[float, int] | None
) -> NDArray[Any] | None:
    """What each of the 256 bytes becomes in an input of `dtype`, where all features are normalized
    alike; None otherwise, and for tokens. `affine`: scale and zero_point, None for float32."""
    if normalization.tokens or len(normalization.mean) != 1 or len(normalization.std) != 1:
        return None
    table: NDArray[Any] = normalization.apply(np.arange(256, dtype=np.uint8))
    return table if affine is None else quantize(table, *affine, dtype)


class LogitsTensor:
    """Reads the output tensor `detail` (tflite.Interpreter.get_output_details) as float32 logits.

    `read(values, out=out)` puts the logits of `values` `[1, classes]`, in the tensor's dtype, into the
    float32 array `out` `[1, classes]`. It raises InputError for logits that are NaN or infinite.
    """

    def __init__(self, detail: dict[str, Any]) -> None:
        self._affine = detail["quantization"]
        self.read: Callable[..., Any]
        if detail["dtype"] is np.float32:
            self.read = _finite
        elif detail["dtype"] is np.int8:
            in_order_of_bits = np.arange(256, dtype=np.uint8).view(np.int8)
            # A negative index counts from the end: it finds its own value there.
            self.read = partial(dequantize(in_order_of_bits, *self._affine).take, mode="wrap")
        else:
            self.read = self._dequantized

    def _dequantized(self, values: NDArray[Any], out: Float32) -> None:
        out[:] = dequantize(values, *self._affine)


def _finite(values: Float32, out: Float32) -> None:
    out[:] = values
    # For a few numbers Python's sum, which float32 values cannot overflow, is faster than numpy's.
    if not math.isfinite(sum(out[0].tolist())):
        raise InputError(LOGITS_TOO_LARGE)


def check_ends(interpreter: Any, count: int, path: str, *, tokens: bool = False) -> None:
    """Raises ModelError unless the model has `count` inputs and `count` outputs, of float32 or of
    integers with a scale; EngineError when the engine itself cannot say.

    `tokens`: the first input has to be int32.
    """
    try:
        ends = {"input": interpreter.get_input_details(), "output": interpreter.get_output_details()}
    except (RuntimeError, ValueError) as error:  # tensors that are missing or have no name
        raise EngineError(f"{path}: the engine cannot read the model ({reason(error)}).") from error
    for name, details in ends.items():
        if len(details) != count:
            raise ModelError(
                f"{path}: metadata and model disagree. Expected {count} {name}s, found {len(details)}."
            )
        for number, detail in enumerate(details):
            if tokens and name == "input" and number == 0:
                _check_tokens(detail, path)
            elif not _usable(detail):
                raise ModelError(
                    f"{path}: an {name} of the model is {np.dtype(detail['dtype'])}, quantized by "
                    f"{detail['quantization']}. Expected float32, or int8 or int16 with a scale."
                )


def _check_tokens(detail: dict[str, Any], path: str) -> None:
    if detail["dtype"] is not np.int32:
        raise ModelError(
            f"{path}: metadata and model disagree. Expected int32 tokens, found an input of "
            f"{np.dtype(detail['dtype'])}."
        )


def _usable(detail: dict[str, Any]) -> bool:
    if detail["dtype"] is np.float32:
        return True
    scale, zero_point = detail["quantization"]
    if detail["dtype"] not in QUANTIZED or not 0 < scale < math.inf:
        return False
    limits = np.iinfo(detail["dtype"])
    return bool(limits.min <= zero_point <= limits.max)
