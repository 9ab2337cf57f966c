"""PyTorch state dict -> Network: recurrent modules, then normalization, then one nn.Linear.

A state dict has names and shapes only. PyTorch's defaults decide the rest: nn.RNN applies tanh, and
nn.LayerNorm and nn.BatchNorm1d have eps=1e-5. Modules are applied in the order of their definition, and
dropout has no effect. Formulas and gate orders (LSTM i, f, g, o;
GRU r, z, n): https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html and torch.nn.GRU.html.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Callable

import numpy as np
from numpy.typing import NDArray

from convert.source_model.network import (
    RECURRENT_LAYERS,
    Affine,
    Bidirectional,
    Dense,
    Flatten,
    Gru,
    Layer,
    LayerNorm,
    Lstm,
    Network,
    Recurrent,
    SimpleRnn,
    TakeRows,
)
from edge_runtime.errors import DataError, InputError

Array = NDArray[Any]

EPSILON = 1e-5
LAST = ("output", "h_n")
"""What the module after a bidirectional one reads. output: the last row of its output, at which the
backward direction has read one row. h_n: the last states of both directions."""

KIND_BY_GATES = {4: "LSTM", 3: "GRU", 1: "RNN"}
"""The number of a recurrent module's gates -> its class in torch.nn."""

_ADVICE = "Export the model as ONNX instead, which says how its parts are connected."
_PART = re.compile(r"(weight|bias)_(ih|hh|hr)_l(\d+)(_reverse)?")
_BATCH_NORM = {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}


@dataclass(frozen=True, eq=False)
class TorchModule:
    """One module of the model, as described by its parameters."""

    name: str
    kind: str
    """LSTM, GRU, RNN, Linear, LayerNorm or BatchNorm1d."""
    state: dict[str, Array]
    """Its own state dict."""

    @property
    def recurrent(self) -> bool:
        """Whether it is nn.LSTM, nn.GRU or nn.RNN."""
        return self.kind in KIND_BY_GATES.values()

    @property
    def num_layers(self) -> int:
        """The number of stacked layers of a recurrent module."""
        return sum(bool(re.fullmatch(r"weight_ih_l\d+", name)) for name in self.state)

    @property
    def bidirectional(self) -> bool:
        """Whether a recurrent module has two directions."""
        return "weight_ih_l0_reverse" in self.state

    @property
    def bias(self) -> bool:
        """Whether it has a bias."""
        return any(name.startswith("bias") for name in self.state)

    @property
    def hidden_size(self) -> int:
        """Units of one direction of a recurrent module."""
        return int(self.state["weight_hh_l0"].shape[1])

    @property
    def inputs(self) -> int:
        """The number of features that it reads."""
        return int(self.state["weight_ih_l0" if self.recurrent else "weight"].shape[-1])

    @property
    def outputs(self) -> int:
        """The number of features that it gives."""
        if self.recurrent:
            return self.hidden_size * (2 if self.bidirectional else 1)
        return int(self.state["weight"].shape[0])


def modules_of(state: Mapping[str, Array]) -> tuple[TorchModule, ...]:
    """The modules in the order in which they are applied.

    Raises DataError for a module that is not supported, for parts that do not fit together, and for an
    order that the shapes leave open.
    """
    groups: dict[str, dict[str, Array]] = {}
    for key, array in state.items():
        name, _, parameter = key.rpartition(".")
        groups.setdefault(name, {})[parameter] = array
    modules = [
        TorchModule(name or "model", _kind(name or "model", group), group)
        for name, group in groups.items()
    ]
    chain = [module for module in modules if module.recurrent]
    linear = [module for module in modules if module.kind == "Linear"]
    if not chain or len(linear) != 1:
        raise DataError(
            f"the state dict has {_counted(chain)} recurrent modules and {_counted(linear)} nn.Linear. "
            f"Expected nn.LSTM, nn.GRU or nn.RNN, and one nn.Linear after them. {_ADVICE}"
        )
    norms = [module for module in modules if not module.recurrent and module.kind != "Linear"]
    front = [norm for norm in norms if _is_in_front(norm, chain)]
    behind = [norm for norm in norms if norm not in front]
    if len(front) > 1 or len(behind) > 1:
        names = ", ".join(norm.name for norm in norms)
        raise DataError(f"the state dict does not show the order of {names}. {_ADVICE}")
    chain = [*front, *chain, *behind, *linear]
    for before, after in zip(chain, chain[1:]):
        if before.outputs != after.inputs:
            raise DataError(
                f"{after.name} (nn.{after.kind}) reads {after.inputs} features, but {before.name} "
                f"(nn.{before.kind}) before it gives {before.outputs}. Expected a chain. {_ADVICE}"
            )
    return tuple(chain)


def _counted(modules: list[TorchModule]) -> str:
    names = ", ".join(module.name for module in modules)
    return f"{len(modules)} ({names})" if modules else "no"


def _kind(name: str, state: dict[str, Array]) -> str:
    if all(_PART.fullmatch(parameter) for parameter in state):
        return _recurrent_kind(name, state)
    shapes = {parameter: array.ndim for parameter, array in state.items()}
    if shapes.get("weight") == 2 and set(shapes) <= {"weight", "bias"}:
        return "Linear"
    if shapes == {"weight": 1, "bias": 1}:
        return "LayerNorm"
    if shapes.get("weight") == 1 and set(shapes) == _BATCH_NORM:
        return "BatchNorm1d"
    found = ", ".join(f"{parameter} {list(array.shape)}" for parameter, array in state.items())
    raise DataError(
        f"module {name} has {found}. Expected the parameters of nn.LSTM, nn.GRU, nn.RNN, "
        f"nn.Linear, nn.LayerNorm or nn.BatchNorm1d. {_ADVICE}"
    )


def _recurrent_kind(name: str, state: dict[str, Array]) -> str:
    if any("_hr_" in parameter for parameter in state):
        raise DataError(f"module {name} has proj_size. Expected an nn.LSTM without projections.")
    kernel = state.get("weight_hh_l0")
    shape = () if kernel is None else kernel.shape
    gates = shape[0] // shape[1] if len(shape) == 2 and shape[1] else 0
    if gates not in KIND_BY_GATES or shape[0] % shape[1]:
        raise DataError(
            f"module {name} has weight_hh_l0 of shape {list(shape)}. Expected [gates * units, units] "
            "with 4 gates (nn.LSTM), 3 (nn.GRU) or 1 (nn.RNN)."
        )
    return KIND_BY_GATES[gates]


def _is_in_front(norm: TorchModule, recurrent: list[TorchModule]) -> bool:
    """Whether a normalization is applied before the recurrent modules rather than after them."""
    width = norm.outputs
    before, behind = recurrent[0].inputs == width, recurrent[-1].outputs == width
    if before == behind:
        raise DataError(
            f"the state dict does not show where {norm.name} (nn.{norm.kind}) of {width} features is "
            f"applied. {_ADVICE}"
        )
    return before


def network_from_torch(modules: tuple[TorchModule, ...], steps: int, last: str = "output") -> Network:
    """The Network of `modules_of` for windows of `steps` rows; `last` is one of LAST.

    Raises InputError for another `last`.
    """
    if last not in LAST:
        raise InputError(f"--torch-last is {last}. Choose {' or '.join(LAST)}.")
    layers: list[Layer] = []
    final = max(k for k, module in enumerate(modules) if module.recurrent)
    for k, module in enumerate(modules):
        if module.recurrent:
            stack = [_recurrent(module, number) for number in range(module.num_layers)]
            layers += stack if k != final else [*stack[:-1], *_last(stack[-1], steps, last)]
        else:
            layers.append(_FEED_FORWARD[module.kind](module))
    return Network(steps, modules[0].inputs, tuple(layers))


def _last(layer: Layer, steps: int, last: str) -> list[Layer]:
    """The layer, followed by the layers that take its last output."""
    if not isinstance(layer, Bidirectional):
        assert isinstance(layer, RECURRENT_LAYERS)  # what _recurrent makes
        return [replace(layer, return_sequences=False)]
    if last == "h_n":
        return [layer.last_outputs]
    return [layer, TakeRows("last_row", (steps - 1,)), Flatten("vector")]


def _recurrent(module: TorchModule, number: int) -> Layer:
    forward = _cell(module, f"l{number}", False)
    if not module.bidirectional:
        return forward
    return Bidirectional(f"{module.name}_l{number}", forward, _cell(module, f"l{number}_reverse", True))


def _cell(module: TorchModule, part: str, backwards: bool) -> Recurrent:
    kernel, recurrent_kernel = (
        _float32(module, f"weight_ih_{part}"),
        _float32(module, f"weight_hh_{part}"),
    )
    zeros = np.zeros(len(kernel), np.float32)
    bias, recurrent_bias = zeros, zeros
    if module.bias:
        bias, recurrent_bias = _float32(module, f"bias_ih_{part}"), _float32(module, f"bias_hh_{part}")
    name = f"{module.name}_{part}"
    if module.kind == "LSTM":
        return Lstm(name, kernel, recurrent_kernel, bias + recurrent_bias, True, backwards)
    if module.kind == "RNN":
        return SimpleRnn(name, kernel, recurrent_kernel, bias + recurrent_bias, "tanh", True, backwards)
    return Gru(
        name,
        _zrn(kernel),
        _zrn(recurrent_kernel),
        _zrn(bias),
        _zrn(recurrent_bias),
        reset_after=True,
        return_sequences=True,
        go_backwards=backwards,
    )


def _zrn(stacked: NDArray[np.float32]) -> NDArray[np.float32]:
    r, z, n = np.split(stacked, 3)
    return np.concatenate([z, r, n])


def _float32(module: TorchModule, parameter: str) -> NDArray[np.float32]:
    if parameter not in module.state:
        raise DataError(f"module {module.name} has no {parameter}. The state dict is not complete.")
    return np.ascontiguousarray(module.state[parameter], np.float32)


def _linear(module: TorchModule) -> Dense:
    kernel = _float32(module, "weight")
    bias = _float32(module, "bias") if module.bias else np.zeros(len(kernel), np.float32)
    return Dense(module.name, kernel, bias)


def _layer_norm(module: TorchModule) -> LayerNorm:
    return LayerNorm(module.name, _float32(module, "weight"), _float32(module, "bias"), EPSILON)


def _batch_norm(module: TorchModule) -> Affine:
    deviation = np.sqrt(_float32(module, "running_var").astype(np.float64) + EPSILON)
    scale = _float32(module, "weight") / deviation
    offset = _float32(module, "bias") - _float32(module, "running_mean") * scale
    return Affine(module.name, scale, offset)


_FEED_FORWARD: dict[str, Callable[[TorchModule], Layer]] = {
    "BatchNorm1d": _batch_norm,
    "LayerNorm": _layer_norm,
    "Linear": _linear,
}
