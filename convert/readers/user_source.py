"""Joins a user's own model, in whatever format it came, with the user's windows -> SourceModel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Callable

import numpy as np
from numpy.typing import NDArray

from convert.readers.read_options import ReadOptions
from convert.readers.user_data import UserData
from convert.source_model.network import Network
from convert.source_model.source_model import Selection, SourceModel
from convert.source_model.window_scaling import leading_scaling, rescaled
from edge_runtime.errors import DataError, InputError
from edge_runtime.model_file.metadata import CLASSIFICATION
from edge_runtime.model_file.normalization import Normalization
from edge_runtime.runs.labelled_windows import LabelledWindows

Forward = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""The full model: float32 windows `[N, steps, features]` to logits `[N, classes]`."""


def user_source(
    network: Network,
    forward: Forward,
    windows: UserData,
    options: ReadOptions,
    *,
    task: str,
    origin: dict[str, str],
    tools: dict[str, str],
    unit_length: bool = False,
) -> SourceModel:
    """The SourceModel of a network that was read and the full model's own `forward`.

    `windows`: as the full model takes them. A scaling at the window leaves the network and becomes the
    normalization (window_scaling). `options.labels` name the classes. Without them the labels are those
    of `windows`, or "0", "1" and so on; those of a regression or an embedding name its outputs, by
    default "output_0" and so on. `task`: see model_task.task_of. `unit_length`: whether `forward` gives
    vectors of length 1, and `network` gives them before they are scaled. `origin` and `tools` go into
    the file, and `origin` gets the name and the digest of the data. Raises DataError for windows that do
    not fit the model and for logits that are not finite, and InputError for labels that do not fit.
    """
    check_shape(windows, (network.steps, network.features))
    calibration, held_out = windows.split(
        options.calibration_samples, options.calibration_seed, options.parity_windows
    )
    if network.tokens:
        normalization = taken = Normalization.of_tokens(network.tokens)
        calibration, held_out = (
            _tokens(part, normalization, windows.name) for part in (calibration, held_out)
        )
    else:
        taken = Normalization((0.0,), (1.0,), str(held_out.x.dtype))
        scaling = leading_scaling(network, taken.dtype)
        normalization = scaling or taken
        network = network if scaling is None else rescaled(network, scaling)
    logits = _checked_logits(forward(taken.apply(held_out.x)), len(held_out), task)
    if task != CLASSIFICATION:
        held_out = replace(held_out, y=np.zeros(len(held_out), np.int64))
    elif windows.not_classes is not None:
        raise DataError(windows.not_classes)
    elif windows.labelled:
        _check_classes(windows, logits.shape[1])
    else:
        held_out = LabelledWindows(held_out.x, logits.argmax(axis=1).astype(np.int64))
    return SourceModel(
        network=network,
        labels=_labels(options.labels, windows, logits.shape[1], task),
        normalization=normalization,
        calibration=normalization.apply(calibration.x),
        held_out=held_out,
        selection=Selection(calibration, "calibration_x") if windows.test else None,
        labelled=windows.labelled and task == CLASSIFICATION,
        task=task,
        unit_length=unit_length,
        split=f"{'test_x' if windows.test else 'not used to calibrate'}, {Path(windows.name).name}",
        logits=logits,
        origin={**origin, "dataset": Path(windows.name).name, "dataset_digest": windows.digest},
        tools=tools,
    )


def check_shape(windows: UserData, expected: tuple[int, int]) -> None:
    """Raises DataError unless the windows have `expected`, the model's (steps, features)."""
    if windows.window_shape != expected:
        raise DataError(
            f"{windows.name}: the windows have shape {list(windows.window_shape)}. The model takes "
            f"{list(expected)} (steps, features)."
        )


def _tokens(windows: LabelledWindows, normalization: Normalization, name: str) -> LabelledWindows:
    try:
        return replace(windows, x=normalization.apply(windows.x))
    except InputError as error:
        raise DataError(f"{name}: {error}") from None


def _checked_logits(logits: NDArray[np.float32], count: int, task: str) -> NDArray[np.float32]:
    least = 2 if task == CLASSIFICATION else 1
    if logits.ndim != 2 or len(logits) != count or logits.shape[1] < least:
        raise DataError(
            f"the model's output has shape {list(logits.shape)}. Expected [{count}, classes], one logit "
            "for each of at least two classes."
        )
    if not np.isfinite(logits).all():
        raise DataError(
            "the full model's own outputs hold NaN or infinity. Look for such weights, or for windows "
            "in another unit than the model was trained on."
        )
    return logits


def _check_classes(windows: UserData, classes: int) -> None:
    for part in (windows.windows, windows.calibration, windows.test):
        if part is not None and (part.y.min() < 0 or part.y.max() >= classes):
            raise DataError(
                f"{windows.name}: the classes go from {part.y.min()} to {part.y.max()}. Expected 0 to "
                f"{classes - 1}, as the model has {classes} outputs."
            )


def _labels(given: Sequence[str], windows: UserData, classes: int, task: str) -> tuple[str, ...]:
    labels = tuple(given) or windows.labels
    if not labels:
        start = "" if task == CLASSIFICATION else "output_"
        return tuple(f"{start}{index}" for index in range(classes))
    check_labels(given, windows, classes)
    return labels


def check_labels(given: Sequence[str], windows: UserData, outputs: int) -> None:
    """Raises InputError unless there are as many labels, if any, as outputs; `given`: --labels."""
    labels = tuple(given) or windows.labels
    if labels and len(labels) != outputs:
        where = "--labels" if given else windows.name
        raise InputError(
            f"{where}: expected {outputs} labels, one for each output of the model, found {len(labels)}."
        )
