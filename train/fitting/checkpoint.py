"""The state of an unfinished training: one file, which is always whole.

It holds every variable of the model and of the optimizer, the best weights, and what was reported. With
the seed and the data this is all that the rest of the training depends on.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import DataError
from edge_runtime.host.atomic_file import replacing

CHECKPOINT = "checkpoint.npz"

_Arrays = list[NDArray[Any]]


class DivergedError(DataError):
    """A training whose loss or weights are not finite. No checkpoint of it is of use."""


@dataclass(eq=False)
class TrainingState:
    """Where a training stands."""

    iteration: int = 0
    """Optimizer steps done."""
    model: _Arrays = field(default_factory=list)
    optimizer: _Arrays = field(default_factory=list)
    """The values of all variables, in their order; empty before the first checkpoint."""
    best: _Arrays = field(default_factory=list)
    """The model's variables at the report with the lowest validation loss; only with early stopping."""
    best_loss: float = float("inf")
    reports_since_best: int = 0
    history: dict[str, list[float]] = field(default_factory=dict)
    """Name of the metric -> one value per report."""
    sums: tuple[float, float] = (0.0, 0.0)
    """Sums since the last report: losses of the batches, and windows whose class was predicted."""


def save_training_state(folder: Path, state: TrainingState, what: dict[str, Any]) -> None:
    """Write the checkpoint of `folder`. By `what` it is known later to be of the same training."""
    arrays = {
        f"{part}/{number}": value
        for part in ("model", "optimizer", "best")
        for number, value in enumerate(getattr(state, part))
    }
    text = json.dumps(
        {
            "iteration": state.iteration,
            "best_loss": state.best_loss,
            "reports_since_best": state.reports_since_best,
            "history": state.history,
            "sums": state.sums,
            "what": what,
        }
    )
    with replacing(folder / CHECKPOINT) as temporary, open(temporary, "wb") as file:
        np.savez(file, state=np.array(text), **arrays)
        file.flush()
        os.fsync(file.fileno())


def load_training_state(folder: Path, what: dict[str, Any]) -> TrainingState | None:
    """The checkpoint of `folder`; None where there is none.

    Raises DataError for a file that is not one, and for one of a training with other data or settings,
    with the first difference.
    """
    path = folder / CHECKPOINT
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as archive:
            content = json.loads(str(archive["state"]))
            parts: dict[str, _Arrays] = {"model": [], "optimizer": [], "best": []}
            for name in archive.files:  # in the order of writing
                part, slash, _ = name.partition("/")
                if slash:
                    parts[part].append(archive[name])
        recorded = content.pop("what")
        content["sums"] = tuple(content["sums"])
        state = TrainingState(**content, **parts)  # type: ignore[arg-type]  # checked by the fields
    except Exception as error:  # zipfile, zlib, json and numpy each raise their own kinds
        raise DataError(
            f"{path}: not a checkpoint of a training ({error!r}). Delete {folder}."
        ) from None
    _check_same(folder, recorded, json.loads(json.dumps(what)))
    return state


def _check_same(folder: Path, recorded: dict[str, Any], expected: dict[str, Any]) -> None:
    for name in [*recorded, *expected]:
        then, now = recorded.get(name), expected.get(name)
        if then != now:
            raise DataError(
                f"{folder}: the interrupted training has {name} {then}, and this one {now}. Continue "
                "with --resume and the settings of the interrupted one, or begin anew with --overwrite."
            )
