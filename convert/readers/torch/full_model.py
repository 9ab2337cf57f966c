"""Loads a PyTorch state dict and computes the full model's logits with PyTorch's own modules."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.readers.torch.state_dict import EPSILON, TorchModule
from edge_runtime.errors import DataError, reason
from edge_runtime.host.optional_packages import needs_extra

BATCH = 1000  # windows per call
WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Keys of the model's state dict in checkpoints that also hold an optimizer's."""
_EXPECTED = "Expected a state dict, as torch.save(model.state_dict(), path) writes it."
_QUANTIZED = (
    "is of a model that torch.ao has quantized. Convert the float model that it was made from, and "
    "choose the precision with --precision int8."
)
_OBJECT = re.compile(r"GLOBAL (\S+)")
"""In PyTorch's message: the class of an object that is no tensor."""


def load_state(path: str | Path) -> dict[str, NDArray[Any]]:
    """The arrays of a file that torch.save wrote, loaded with weights_only, so that no code in it runs.

    Raises DataError for a file that holds anything other than tensors by name, and MissingExtraError
    without PyTorch.
    """
    torch = _torch()
    state = _loaded(torch, path)
    for key in WRAPPERS:
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping) or not state:
        raise DataError(f"{path}: the file holds a {type(state).__name__}. {_EXPECTED}")
    for key, value in state.items():
        if "_packed_params" in str(key) or getattr(value, "is_quantized", False):
            raise DataError(f"{path}: {_QUANTIZED}")
        if not isinstance(value, torch.Tensor):
            raise DataError(f"{path}: {key} is a {type(value).__name__}, not a tensor. {_EXPECTED}")
    return {str(key): _array(value) for key, value in state.items()}


def _loaded(torch: Any, path: str | Path) -> Any:
    if not Path(path).is_file():
        raise DataError(f"{path}: no such file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of parts that PyTorch will remove
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # PyTorch and pickle raise many kinds
        raise DataError(f"{path}: {_why_not_loaded(str(error))}") from None


def _why_not_loaded(message: str) -> str:
    """A sentence for PyTorch's message."""
    found = _OBJECT.search(message)
    if found is None:
        first = " ".join(message.split()).split(". ")[0]
        return f"PyTorch cannot load it ({first}). {_EXPECTED}"
    name = found[1]
    if name.startswith(("torch.ScriptObject", "torch.ao.", "torch.quantization.")):
        return _QUANTIZED
    return f"the file holds an object of class {name}, and not only tensors. {_EXPECTED}"


def torch_logits(
    modules: tuple[TorchModule, ...], last: str, windows: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Logits `[N, classes]` of windows `[N, steps, features]`; `last` is one of state_dict.LAST."""
    torch = _torch()
    built = [_module(torch, module).eval() for module in modules]
    final = max(k for k, module in enumerate(modules) if module.recurrent)
    parts = []
    with torch.no_grad():
        for start in range(0, len(windows), BATCH):
            x = torch.from_numpy(np.ascontiguousarray(windows[start : start + BATCH], np.float32))
            for k, (description, module) in enumerate(zip(modules, built)):
                x = _apply(torch, description, module, x, last if k == final else None)
            parts.append(x.numpy())
    return np.concatenate(parts)


def torch_version() -> str:
    """PyTorch's version."""
    return str(_torch().__version__)


def _torch() -> Any:
    with needs_extra("torch", "torch", "a PyTorch state dict"):
        import torch
    return torch


def _array(tensor: Any) -> NDArray[Any]:
    # bfloat16 has no numpy counterpart.
    plain = tensor.detach().cpu()
    array: NDArray[Any] = (plain.float() if plain.is_floating_point() else plain).numpy()
    return array


def _module(torch: Any, module: TorchModule) -> Any:
    """The module of PyTorch with these weights."""
    nn = torch.nn
    if module.recurrent:
        built = getattr(nn, module.kind)(
            module.inputs,
            module.hidden_size,
            module.num_layers,
            bias=module.bias,
            batch_first=True,
            bidirectional=module.bidirectional,
        )
    elif module.kind == "Linear":
        built = nn.Linear(module.inputs, module.outputs, bias=module.bias)
    else:
        built = getattr(nn, module.kind)(module.outputs, eps=EPSILON)
    try:
        built.load_state_dict({name: torch.as_tensor(array) for name, array in module.state.items()})
    except RuntimeError as error:
        raise DataError(
            f"module {module.name} is not a complete nn.{module.kind} ({reason(error)})"
        ) from None
    return built


def _apply(torch: Any, description: TorchModule, module: Any, x: Any, last: str | None) -> Any:
    """One module applied to a batch; `last` is what is taken from the final recurrent module."""
    if description.kind == "BatchNorm1d" and x.ndim == 3:
        return module(x.transpose(1, 2)).transpose(1, 2)
    if not description.recurrent:
        return module(x)
    output, state = module(x)
    if last is None:
        return output
    if last == "output" or not description.bidirectional:
        return output[:, -1]
    h_n = state[0] if isinstance(state, tuple) else state
    return torch.cat([h_n[-2], h_n[-1]], dim=1)
