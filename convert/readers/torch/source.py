"""A user's PyTorch state dict -> Source."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from convert.readers.torch.full_model import load_state, torch_logits, torch_version
from convert.readers.torch.state_dict import modules_of, network_from_torch
from convert.readers.user_data import DataSource, read_user_data
from convert.readers.user_source import user_source
from convert.source_model.source_model import Source
from edge_runtime.errors import DataError
from edge_runtime.runs.run_directory import file_sha256


def torch_source(
    path: str | Path, data: DataSource, *, torch_last: str = "output", **options: Any
) -> Source:
    """Read a state dict of recurrent modules and one nn.Linear; the steps are those of `data`.

    `torch_last` is one of state_dict.LAST, and matters if the last recurrent module is bidirectional.
    `data` and `options` are those of `user_source`. Raises DataError that names the module of a state
    dict that cannot be converted, MissingExtraError without PyTorch, and what `user_source` raises.
    """
    windows = read_user_data(data)
    state = load_state(path)
    try:
        modules = modules_of(state)
        network = network_from_torch(modules, windows.window_shape[0], torch_last)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    return user_source(
        network,
        partial(torch_logits, modules, torch_last),
        windows,
        origin={"model": Path(path).name, "model_sha256": file_sha256(Path(path))},
        tools={"torch": torch_version()},
        **options,
    )
