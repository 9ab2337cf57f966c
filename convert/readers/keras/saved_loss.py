"""The loss that a Keras model was trained with: what a file or a compiled model says, if it does.

Keras 3 and 2 write it into `config.json` of a `.keras` file (`compile_config`) and into the attribute
`training_config` of an `.h5` file. It is read there, because loading a model with its compilation fails
for a loss of one's own.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from convert.readers.model_task import LOSSES


def loss_in_file(path: str | Path) -> str | None:
    """The loss in a `.keras` or `.h5` file, as model_task.LOSSES spells it; None for any other."""
    try:
        return loss_named(_zip_config(path) if zipfile.is_zipfile(path) else _h5_config(path))
    except (OSError, KeyError, ValueError):  # as files of other releases may be, or a damaged one
        return None


def loss_of_model(model: Any) -> str | None:
    """The loss of a compiled model object, as model_task.LOSSES spells it; None for any other."""
    return loss_named(getattr(model, "loss", None))


def loss_named(loss: Any) -> str | None:
    """The loss in any form that `compile` takes or a file holds."""
    while isinstance(loss, (list, tuple)) and len(loss) == 1:
        loss = loss[0]
    if isinstance(loss, dict):
        loss = _in_configuration(loss)
    if loss is None or isinstance(loss, (list, dict)):
        return None
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
    spelled = name.replace("_", "").lower()
    return spelled if spelled in LOSSES else None


def _in_configuration(loss: dict[str, Any]) -> Any:
    """What names the loss in a serialized object, or in a dictionary by output."""
    if "class_name" not in loss:
        return next(iter(loss.values())) if len(loss) == 1 else None
    return loss.get("config") if loss["class_name"] == "function" else loss["class_name"]


def _zip_config(path: str | Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        return (json.loads(archive.read("config.json")).get("compile_config") or {}).get("loss")


def _h5_config(path: str | Path) -> Any:
    import h5py

    with h5py.File(path, "r") as file:
        content = file.attrs.get("training_config")
    if content is None:
        return None
    return json.loads(content if isinstance(content, str) else content.decode("utf-8")).get("loss")
