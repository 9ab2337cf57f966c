"""A user's PyTorch state dict -> SourceModel."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convert.readers.classifier_head import logits_of, split_head
from convert.readers.read_options import ReadOptions
from convert.readers.torch.full_model import load_state, torch_logits, torch_version
from convert.readers.torch.state_dict import LAST, modules_of, network_from_torch
from convert.readers.user_source import user_source
from convert.source_model.source_model import SourceModel
from edge_runtime.errors import DataError
from edge_runtime.runs.run_directory import file_sha256


def torch_source(path: str | Path, options: ReadOptions) -> SourceModel:
    """Read a state dict of recurrent modules and one nn.Linear. The steps are those of `options.data`.

    Raises DataError, naming the module, for a state dict that
    cannot be converted, MissingExtraError without PyTorch, and what `user_source` raises.
    """
    windows, last = options.windows(), options.torch_last or LAST[0]
    state = load_state(path)
    try:
        modules = modules_of(state)
        network = network_from_torch(modules, windows.window_shape[0], last)
        layers, function, task = split_head(
            list(network.layers), modules[-1].outputs, options.hints(windows)
        )
    except DataError as error:
        raise DataError(f"{path}: {error}") from None

    def forward(raw: NDArray[np.float32]) -> NDArray[np.float32]:
        return logits_of(torch_logits(modules, last, raw), function)

    return user_source(
        replace(network, layers=tuple(layers)),
        forward,
        windows,
        options,
        task=task,
        origin={"model": Path(path).name, "model_sha256": file_sha256(Path(path))},
        tools={"torch": torch_version()},
    )
