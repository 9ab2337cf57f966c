"""A user's PyTorch state dict -> SourceModel."""

from __future__ import annotations

from functools import partial
from pathlib import Path

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
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    return user_source(
        network,
        partial(torch_logits, modules, last),
        windows,
        options,
        origin={"model": Path(path).name, "model_sha256": file_sha256(Path(path))},
        tools={"torch": torch_version()},
    )
