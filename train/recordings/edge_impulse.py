"""Edge Impulse's data acquisition format as JSON: each file is one recording.

The format: docs.edgeimpulse.com, Tools, Specifications, Data acquisition, JSON/CBOR. Which class, split
and metadata a file has: `edge_impulse_labels`. The signature of a file is not checked: its key is a
secret of the project that it comes from.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import DataError, InputError, reason
from train.recordings.data_options import DataOptions
from train.recordings.edge_impulse_labels import LabelledFile, finite_number, labelled_files, read_json
from train.recordings.recording import UNLABELLED, Recording, Recordings

MILLISECOND = 1e-3


@dataclass(frozen=True, eq=False)
class _Measurement:
    """What one file holds."""

    device: str | None
    interval_ms: float
    units: dict[str, str]
    """By the name of the sensor, in the order of the columns."""
    values: NDArray[np.float32]
    """`[rows, sensors]`, NaN for null."""


def read_edge_impulse(path: str | Path, options: DataOptions) -> Recordings:
    """The recordings of one JSON file, or of a folder of them: an exported data set with `info.labels`,
    folders training/ and testing/, a folder for each class, or files that are named CLASS.anything.json.

    Groups: the values of the key `options.group_column` of the metadata in info.labels, or the devices
    where there are several. Times `[rows]` in seconds from the interval. Raises DataError or InputError,
    which names the file or the option.
    """
    files = labelled_files(Path(path))
    measurements = [read_json_measurement(file.path) for file in files]
    features = _features(files, measurements, options.feature_columns)
    names = [[name for name, _, _ in file.segments] for file in files]
    labels = tuple(sorted({name for found in names for name in found}))
    if not labels:
        raise DataError(f"{path}: no file has a label. Label the data, and export it again.")
    groups = _groups(files, measurements, options.group_column)
    recordings = tuple(
        Recording(
            file.name,
            file.path,
            _columns(measurement, features),
            _row_labels(file, measurement, labels),
            group=group,
            split=file.split,
            times=_times(measurement),
        )
        for file, measurement, group in zip(files, measurements, groups)
    )
    return Recordings(Path(path).resolve().name, recordings, labels, features)


def read_json_measurement(path: Path) -> _Measurement:
    """The payload of one file. Raises DataError that names the file."""
    if path.suffix.lower() == ".cbor":
        raise DataError(f"{path}: CBOR is not supported. Export the data set as JSON.")
    document = read_json(path)
    payload = document.get("payload") if isinstance(document, dict) else None
    if not isinstance(payload, dict):
        raise DataError(
            f"{path}: has no payload. Expected a JSON file in Edge Impulse's data acquisition format."
        )
    units = _units(payload.get("sensors"), path)
    device = payload.get("device_name")
    return _Measurement(
        str(device) if device else None,
        _interval(payload.get("interval_ms"), path),
        units,
        _values(payload.get("values"), len(units), path),
    )


def _units(sensors: Any, path: Path) -> dict[str, str]:
    found = sensors if isinstance(sensors, list) else []
    names = [sensor.get("name") for sensor in found if isinstance(sensor, dict)]
    if not names or len(names) < len(found) or not all(isinstance(n, str) and n for n in names):
        raise DataError(f"{path}: expected payload.sensors, a list of objects with a name.")
    if len(set(names)) < len(names):
        raise DataError(f"{path}: two of its sensors have the same name. Rename one of them.")
    return {sensor["name"]: str(sensor.get("units", "")) for sensor in found}


def _interval(value: Any, path: Path) -> float:
    number = finite_number(value)
    if number is None or number < 0:
        raise DataError(
            f"{path}: payload.interval_ms is {reason(json.dumps(value))}. Expected the milliseconds "
            "from one row to the next."
        )
    return number


def _values(rows: Any, sensors: int, path: Path) -> NDArray[np.float32]:
    """`[rows, sensors]`. With one sensor, the rows may be plain numbers."""
    if not isinstance(rows, list) or not rows:
        raise DataError(f"{path}: holds no values. Expected payload.values, a list of rows.")
    if sensors == 1 and not isinstance(rows[0], list):
        rows = [[row] for row in rows]
    for index, row in enumerate(rows):
        _check_row(row, sensors, f"{path}: payload.values[{index}]")
    with np.errstate(over="ignore"):
        values = np.array(rows, np.float64).astype(np.float32)
    if np.isinf(values).any():
        index = int(np.isinf(values).any(axis=1).argmax())
        raise DataError(f"{path}: payload.values[{index}] is too large for float32. Remove the row.")
    return values


def _check_row(row: Any, sensors: int, where: str) -> None:
    if not isinstance(row, list) or len(row) != sensors:
        found = f"has {len(row)} values" if isinstance(row, list) else "is not a list of numbers"
        raise DataError(f"{where} {found}. Expected {sensors}, one for each sensor.")
    for value in row:
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
            raise DataError(f"{where} holds {reason(json.dumps(value))}. Expected a number or null.")
        if isinstance(value, int) and value.bit_length() > 1024:  # more than a float64 can hold
            raise DataError(f"{where} is too large for float32. Remove the row.")


def _features(
    files: list[LabelledFile], measurements: list[_Measurement], chosen: tuple[str, ...]
) -> tuple[str, ...]:
    """The features: the chosen ones, or all sensors of the first file, which all files have then."""
    first = measurements[0].units
    features = chosen or tuple(first)
    missing = [name for name in features if name not in first]
    if missing:
        raise InputError(
            f"--feature-columns: {files[0].path} has no sensor {reason(missing[0])!r}. Choose among "
            f"{', '.join(map(reason, first))}."
        )
    for file, measurement in zip(files, measurements):
        for name in features:
            if measurement.units.get(name) != first[name]:
                raise DataError(_other_sensor(file.path, measurement.units, name, files[0].path, first))
        extra = [name for name in measurement.units if name not in first]
        if extra and not chosen:
            raise DataError(
                f"{file.path}: has a sensor {reason(extra[0])!r}, which {files[0].path} does not have. "
                "Expected the same sensors, or --feature-columns."
            )
    return features


def _other_sensor(
    path: Path, units: dict[str, str], name: str, first_path: Path, first: dict[str, str]
) -> str:
    if name not in units:
        return (
            f"{path}: has no sensor {reason(name)!r}, which {first_path} has. Expected the same sensors."
        )
    return (
        f"{path}: sensor {reason(name)!r} is in {reason(units[name])!r}, and in {reason(first[name])!r} "
        f"in {first_path}. Expected the same units."
    )


def _columns(measurement: _Measurement, features: tuple[str, ...]) -> NDArray[np.float32]:
    names = list(measurement.units)
    return measurement.values[:, [names.index(name) for name in features]]


def _times(measurement: _Measurement) -> NDArray[np.float64] | None:
    if measurement.interval_ms == 0:
        return None
    return np.arange(len(measurement.values)) * (measurement.interval_ms * MILLISECOND)


def _groups(
    files: list[LabelledFile], measurements: list[_Measurement], key: str | None
) -> list[str | None]:
    """One for each file; None everywhere where there is one device, or a file without one."""
    if key is not None:
        for file in files:
            if key not in file.metadata:
                raise DataError(
                    f"{file.path}: has no {reason(key)!r} in the metadata of info.labels. Expected the "
                    "--group-column there."
                )
        return [file.metadata[key] for file in files]
    devices = [measurement.device for measurement in measurements]
    return devices if None not in devices and len(set(devices)) > 1 else [None] * len(files)


def _row_labels(
    file: LabelledFile, measurement: _Measurement, labels: tuple[str, ...]
) -> NDArray[np.int64]:
    """`[rows]`. The documentation gives the ends of segments in milliseconds, the interface in rows,
    both inclusive. The segments of a file cover it, so their last end tells which it is."""
    rows, interval = len(measurement.values), measurement.interval_ms
    found = np.full(rows, UNLABELLED, np.int64)
    if not file.segments:
        return found
    last = file.segments[-1][2]
    if last is None:  # one class for the whole file
        found[:] = labels.index(file.segments[0][0])
        return found
    if last == rows - 1:
        scale = 1.0
    elif interval and abs(last - rows * interval) <= max(interval, 1.0):
        scale = interval
    else:
        raise DataError(
            f"{file.path}: the last label of info.labels ends at {last:g}, the file has {rows} rows of "
            f"{interval:g} ms. Expected {rows - 1} in rows or about {rows * interval:g} in milliseconds."
        )
    for name, start, _ in file.segments:  # each ends where the next begins
        found[math.ceil(start / scale - 1e-9) :] = labels.index(name)
    return found
