"""A user's own model, whatever it was read from, and the user's windows -> Source."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Callable

import numpy as np
from numpy.typing import NDArray

from convert.readers.user_data import DataSource, UserData, read_user_data
from convert.source_model.network import Network
from convert.source_model.source_model import (
    CALIBRATION_SAMPLES,
    PARITY_WINDOWS,
    Selection,
    Source,
    check_samples,
)
from edge_runtime.errors import DataError, InputError
from edge_runtime.model_file.normalization import Normalization
from edge_runtime.runs.labelled_windows import LabelledWindows
from edge_runtime.runs.npz_windows import checked_labels

Forward = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""The full model: float32 windows `[N, steps, features]` to logits `[N, classes]`."""


def user_source(
    network: Network,
    forward: Forward,
    data: DataSource,
    *,
    origin: dict[str, str],
    tools: dict[str, str],
    labels: Sequence[str] = (),
    calibration_samples: int = CALIBRATION_SAMPLES,
    calibration_seed: int = 0,
    parity_windows: int = PARITY_WINDOWS,
) -> Source:
    """What is converted, of a network that was read and the full model's own `forward`.

    `data`: the windows as the full model takes them (readers.user_data), which are not normalized any
    further. `labels` name the classes; without them those of the data, and without those "0", "1" and
    so on. `origin` and `tools` go into the file; the data's name and digest are added to `origin`.
    Raises DataError for windows or labels that do not fit the model, or logits that are no numbers, and
    InputError for a value out of range.
    """
    check_samples(calibration_samples, calibration_seed, parity_windows)
    windows = read_user_data(data)
    _check_shape(windows, network)
    calibration, held_out = windows.split(calibration_samples, calibration_seed, parity_windows)
    normalization = Normalization((0.0,), (1.0,), str(held_out.x.dtype))
    logits = _checked_logits(forward(normalization.apply(held_out.x)), len(held_out))
    if windows.labelled:
        _check_classes(windows, logits.shape[1])
    else:
        held_out = LabelledWindows(held_out.x, logits.argmax(axis=1).astype(np.int64))
    return Source(
        network=network,
        labels=_labels(labels, windows, logits.shape[1]),
        normalization=normalization,
        calibration=normalization.apply(calibration.x),
        held_out=held_out,
        selection=Selection(calibration, "calibration_x") if windows.test else None,
        labelled=windows.labelled,
        split=f"{'test_x' if windows.test else 'not used to calibrate'}, {Path(windows.name).name}",
        logits=logits,
        origin={**origin, "dataset": Path(windows.name).name, "dataset_digest": windows.digest},
        tools=tools,
    )


def _check_shape(windows: UserData, network: Network) -> None:
    expected = (network.steps, network.features)
    if windows.window_shape != expected:
        raise DataError(
            f"{windows.name}: windows of shape {list(windows.window_shape)}: the model takes "
            f"{list(expected)} (steps, features)"
        )


def _checked_logits(logits: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    if logits.ndim != 2 or len(logits) != count or logits.shape[1] < 2:
        raise DataError(
            f"the model's output has shape {list(logits.shape)}: expected [{count}, classes], one logit "
            "for each of at least two classes"
        )
    if not np.isfinite(logits).all():
        raise DataError(
            "the full model's own logits hold NaN or infinity: look for such weights, or for windows "
            "in another unit than the model was trained on"
        )
    return logits


def _check_classes(windows: UserData, classes: int) -> None:
    for part in (windows.windows, windows.calibration, windows.test):
        if part is not None and (part.y.min() < 0 or part.y.max() >= classes):
            raise DataError(
                f"{windows.name}: classes from {part.y.min()} to {part.y.max()}: the model has "
                f"{classes} outputs, expected 0 to {classes - 1}"
            )


def _labels(given: Sequence[str], windows: UserData, classes: int) -> tuple[str, ...]:
    labels = checked_labels(given, "--labels") if given else windows.labels
    if not labels:
        return tuple(str(index) for index in range(classes))
    if len(labels) != classes:
        where = "--labels" if given else windows.name
        raise InputError(f"{where}: {len(labels)} labels: the model has {classes} outputs")
    return labels
