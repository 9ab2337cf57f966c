"""The time column: numbers in the unit that its name says, else in seconds, or dates."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import DataError, reason
from train.recordings.columns import UNIT_IN_NAME
from train.recordings.table import LONGEST_SHOWN, DataTable

UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9}
"""The unit at the end of a column's name -> seconds."""

CLOCK = re.compile(r"\d+:\d\d:\d\d(\.\d+)?")
"""A time without a date."""

LATEST_SECOND = 1e11
"""Larger numbers without a unit are no seconds: the year 5138, or milliseconds since 1970."""


def times_in(table: DataTable, column: str) -> NDArray[np.float64]:
    """`[rows]` seconds since the first time in the table, NaN where a time is missing.

    Raises DataError with the line for a time that cannot be read.
    """
    series = table.frame[column]
    if series.dtype.kind in "Mm":
        return _since_first(series.to_numpy("datetime64[ns]" if series.dtype.kind == "M" else None))
    if series.dtype.kind not in "iuf":
        if not _begins_with_number(series):
            return _dates(table, column, series)
        series = series.__class__(table.float64(column))  # names the cell that is no number
    return _numbers(table, column, series)


def _begins_with_number(series: Any) -> bool:
    try:
        float(_first(series))
    except (TypeError, ValueError):
        return False
    return True


def _first(series: Any) -> Any:
    """The first cell that is not missing, or None."""
    index = series.first_valid_index()
    return None if index is None else series.iloc[index]


def _numbers(table: DataTable, column: str, values: Any) -> NDArray[np.float64]:
    unit = UNIT_IN_NAME.search(column)
    first = _first(values)
    if first is None:
        return np.full(len(values), np.nan)
    if unit is None and abs(float(first)) > LATEST_SECOND:
        raise DataError(
            f"{table.path}: times such as {first} in column '{column}' are too late for seconds. End "
            "its name with the unit: _ms, _us or _ns."
        )
    # Integers are subtracted as integers: nanoseconds since 1970 have more digits than a float64.
    if values.dtype.kind == "u":
        values, first = values.astype("int64"), int(first)
    steps = (values - first).to_numpy(dtype=np.float64, na_value=np.nan)
    return np.asarray(steps * (UNITS[unit[1].lower()] if unit else 1.0), np.float64)


def _dates(table: DataTable, column: str, series: Any) -> NDArray[np.float64]:
    import pandas

    found = pandas.to_datetime(series, format="ISO8601", utc=True, errors="coerce")
    odd = (found.isna() & series.notna()).to_numpy()
    if odd.any() and CLOCK.fullmatch(str(_first(series))):
        clock = pandas.to_timedelta(series, errors="coerce")
        odd = (clock.isna() & series.notna()).to_numpy()
        found = pandas.Timestamp(0, tz="UTC") + clock
    if odd.any():
        row = int(odd.argmax())
        shown = reason(str(series.iloc[row])[:LONGEST_SHOWN])
        raise DataError(
            f"{table.place(row)}: column '{column}' holds '{shown}', which is no time. Expected "
            "seconds, dates such as 2025-01-31T12:00:00.5, or 12:00:00.5."
        )
    return _since_first(found.dt.tz_localize(None).to_numpy("datetime64[ns]"))


def _since_first(times: NDArray[Any]) -> NDArray[np.float64]:
    missing = np.isnat(times)
    first = times[~missing][:1]
    seconds = (times - (first if len(first) else times[:1])).astype("timedelta64[ns]").astype(
        np.int64
    ) * 1e-9
    return np.where(missing, np.nan, seconds)
