"""Opens the reference of a comparison: a run directory, or any model that `convert` can read.

Which windows are compared:

    a run directory                    its test split
    a run directory, and data          all windows of the data (test_x, where the data has a split)
    a model of one's own, and data     the held-out part that `convert` proves on, if a compared file was
                                       converted with this data; otherwise all its windows, since none of
                                       them has calibrated anything
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.evidence.answers import Compared
from convert.readers.open_source import open_source
from convert.readers.read_options import ReadOptions
from convert.readers.user_data import UserData
from convert.source_model.source_model import SourceModel
from edge_runtime.errors import DataError, InputError
from edge_runtime.model_file.metadata import REGRESSION, Metadata
from edge_runtime.runs.labelled_windows import LabelledWindows
from edge_runtime.runs.npz_windows import read_npz
from edge_runtime.runs.run_directory import RECORD, Run

GROUP_ARRAYS = ("group", "groups", "test_group", "test_groups")
"""Names of an array of an .npz file that says for each window to which person, device, ... it belongs.
Those with test_ go with a test_x."""


def open_reference(path: Any, read: ReadOptions, files: Sequence[Metadata]) -> Compared:
    """The reference at `path` with its windows, groups and answers.

    `files`: the records of the compared files. They tell the task and the labels where nothing else
    does, and the data that they were converted with. Raises DataError for data that does not fit, and
    what `open_source` raises.
    """
    if _is_run(path):
        return _in_order(_run_reference(Path(path), read))
    return _in_order(_own_reference(path, read, files))


def _in_order(compared: Compared) -> Compared:
    """The same with the windows in the order of the data, so that records show it and stay short."""
    order = np.argsort(compared.positions, kind="stable")
    source = compared.source
    finetuned = source.finetuned and replace(source.finetuned, logits=source.finetuned.logits[order])
    return replace(
        compared,
        positions=compared.positions[order],
        groups=None if compared.groups is None else compared.groups[order],
        values=None if compared.values is None else compared.values[order],
        source=replace(
            source,
            held_out=source.held_out.take(order),
            logits=source.logits[order],
            finetuned=finetuned,
        ),
    )


def _is_run(path: Any) -> bool:
    return isinstance(path, (str, Path)) and (Path(path) / RECORD).is_file()


def _run_reference(path: Path, read: ReadOptions) -> Compared:
    record = Run.open(path).record
    if read.labels:
        raise InputError("--labels: a run directory has its own. Leave it out.")
    if read.data is None:
        source = open_source(path, read)
        test = Run.open(path).test_windows()
        positions = _sampled(test, read.parity_windows)
        groups = None if test.groups is None else test.groups[positions]
        name, digest = str(record.dataset["name"]), str(record.dataset["digest"])
        return Compared(path.resolve().name, source, positions, groups, name, digest)
    data = _for_proof(read.windows())
    expected = (record.steps, record.features)
    if data.window_shape != expected:
        raise DataError(
            f"{data.name}: the windows have shape {list(data.window_shape)}. The run's model takes "
            f"{list(expected)} (steps, features)."
        )
    _, windows = data.split(read.calibration_samples, read.calibration_seed, read.parity_windows)
    source = _with_data(path, open_source(path, replace(read, data=None, task=None)), data, windows)
    return _compared(path.resolve().name, source, read, data)


def _with_data(path: Path, source: SourceModel, data: UserData, windows: LabelledWindows) -> SourceModel:
    """A run's model with the user's `windows`, of `data`, in place of the run's test split."""
    from convert.readers.tensorflow.full_models import full_logits, load_full_model

    if source.finetuned is not None:
        raise InputError(
            f"{path}: a fine-tuned run has answers for its own test split only. Leave out --data."
        )
    if data.labelled and windows.y.max() >= len(source.labels):
        raise DataError(
            f"{data.name}: the classes go up to {windows.y.max()}. Expected 0 to "
            f"{len(source.labels) - 1}, as the run has {len(source.labels)} classes."
        )
    logits = full_logits(load_full_model(Run.open(path).model), source.normalization.apply(windows.x))
    held_out = windows
    if not data.labelled:
        held_out = LabelledWindows(windows.x, logits.argmax(axis=1).astype(np.int64))
    return replace(
        source,
        held_out=held_out,
        logits=logits,
        labelled=data.labelled,
        split=f"all windows of {Path(data.name).name}",
    )


def _own_reference(path: Any, read: ReadOptions, files: Sequence[Metadata]) -> Compared:
    if read.data is None:
        open_source(path, read)  # says what is missing
    data = read.windows()
    if data.digest not in [file.source.get("dataset_digest") for file in files]:
        data = _for_proof(data)
    source = open_source(path, replace(read, data=data, task=read.task or files[0].task))
    if not (read.labels or data.labels) and len(source.labels) == len(files[0].labels):
        source = replace(source, labels=files[0].labels)
    if data.windows is None and data.calibration is data.test:
        source = replace(source, split=f"all windows of {Path(data.name).name}")
    name = Path(path).name if isinstance(path, (str, Path)) else type(path).__name__
    return _compared(name, source, read, data)


def _for_proof(data: UserData) -> UserData:
    """The same data with all windows, or the user's test windows, for the proof.

    The calibration windows are then the same ones: nothing is calibrated with them here.
    """
    test = data.test if data.windows is None else data.windows
    return replace(data, windows=None, calibration=test, test=test)


def _compared(name: str, source: SourceModel, read: ReadOptions, data: UserData) -> Compared:
    """The positions and groups of the windows that `source` holds out."""
    every = data.windows or data.test
    assert every is not None  # read_user_data sets one of them
    numbered = LabelledWindows(np.arange(len(every)), every.y)
    if data.windows is None:
        whole = replace(data, calibration=numbered, test=numbered)
    else:
        whole = replace(data, windows=numbered)
    _, held_out = whole.split(read.calibration_samples, read.calibration_seed, read.parity_windows)
    positions: NDArray[np.int64] = held_out.x[: len(source.held_out)]
    groups, values = _groups_in(read, len(every), data), _values_in(read, source)
    return Compared(
        name,
        source,
        positions,
        None if groups is None else groups[positions],
        Path(data.name).name,
        data.digest,
        None if values is None else values[positions],
    )


def _groups_in(read: ReadOptions, count: int, data: UserData) -> NDArray[np.str_] | None:
    """The group of every window in the data `[count]`. Raises DataError for another length."""
    arrays = _arrays(read)
    for name in GROUP_ARRAYS:
        if name in arrays and name.startswith("test_") == ("test_x" in arrays):
            groups = np.asarray(arrays[name]).astype(str)
            if groups.shape != (count,):
                raise DataError(
                    f"{data.name}: {name} has shape {list(groups.shape)}. Expected [{count}], one group "
                    "for each window."
                )
            return groups
    return None


def _values_in(read: ReadOptions, source: SourceModel) -> NDArray[np.float64] | None:
    """What the outputs of a regression should be on every window of the data, `[N, outputs]`."""
    arrays = _arrays(read)
    y = arrays.get("test_y" if "test_x" in arrays else "y")
    if source.task != REGRESSION or y is None:
        return None
    values = np.asarray(y, np.float64).reshape(len(y), -1)
    return values if values.shape[1] == len(source.labels) else None


def _arrays(read: ReadOptions) -> Mapping[str, Any]:
    if isinstance(read.data, UserData) or read.data is None:
        return {}
    return read_npz(read.data) if isinstance(read.data, (str, Path)) else read.data


def _sampled(windows: LabelledWindows, count: int) -> NDArray[np.int64]:
    """Positions of a run's held-out windows, sampled as convert.readers.run_directory does."""
    numbered = LabelledWindows(np.arange(len(windows)), windows.y)
    positions: NDArray[np.int64] = numbered.stratified_sample(count, seed=0).x
    return positions
