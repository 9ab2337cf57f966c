"""Reads CSV and Parquet files with pandas."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edge_runtime.errors import DataError, reason
from edge_runtime.host.optional_packages import needs_extra
from train.recordings.columns import TableColumns, choose_columns
from train.recordings.csv_form import CSV_ENCODING, CsvForm, read_csv_form
from train.recordings.data_options import DataOptions
from train.recordings.table import DataTable

PARQUET_SUFFIXES = (".parquet", ".pq")

CSV_SUFFIXES = (".csv", ".tsv", ".txt")

MISSING_CELLS = ("", "NaN", "nan", "-nan", "NA", "N/A", "n/a", "#N/A", "<NA>", "null", "NULL", "None")
"""What stands for a missing number."""

MISSING_NAMES = ("", "NaN", "nan")
"""What stands for a missing name; a class may be called None."""

MOST_PARQUET_CELLS = 1 << 29
"""Limit on the cells of a Parquet file: some bytes can stand for millions of equal ones."""

PANDAS_INDEX = "__index_level_"
"""What begins the names of columns that pandas adds for row numbers."""


def read_table(path: Path, options: DataOptions, features: tuple[str, ...] | None) -> DataTable:
    """The columns of a table that the options name.

    `features`: those of the data set's first file; None for that file. Raises DataError, which names the
    file and the line or column; InputError, which names the option; MissingExtraError without pandas.
    """
    if path.suffix.lower() in PARQUET_SUFFIXES:
        return _read_parquet(path, options, features)
    return _read_csv(path, options, features)


def _read_csv(path: Path, options: DataOptions, features: tuple[str, ...] | None) -> DataTable:
    form = read_csv_form(path)
    columns = choose_columns(path, form.names, options, form.unnamed, features)
    frame = _read_cells(path, form, columns)
    if len(frame) != len(form.lines):
        raise DataError(
            f"{path}: pandas finds {len(frame)} rows, and {len(form.lines)} lines hold some. Remove "
            "blank lines and quotation marks."
        )
    return DataTable(path, columns, frame, form.lines)


def _read_cells(path: Path, form: CsvForm, columns: TableColumns) -> Any:
    """A DataFrame. The other decimal sign is tried, too, if it turns all cells of numbers into numbers:
    the first lines may hold whole numbers alone."""
    pandas = _pandas()
    with _pandas_errors(path):
        frame = pandas.read_csv(path, **_csv_settings(form, columns), decimal=form.decimal)
        if form.delimiter == "," or _all_numbers(frame, columns):
            return frame
        decimal = "." if form.decimal == "," else ","
        other = pandas.read_csv(path, **_csv_settings(form, columns), decimal=decimal)
    return other if _all_numbers(other, columns) else frame


def _all_numbers(frame: Any, columns: TableColumns) -> bool:
    return all(frame[name].dtype.kind in "iuf" for name in columns.features)


def _csv_settings(form: CsvForm, columns: TableColumns) -> dict[str, Any]:
    texts = columns.texts
    return {
        "encoding": CSV_ENCODING,
        "sep": form.delimiter,
        "header": None,
        "names": list(form.names),
        "usecols": [form.names.index(name) for name in columns.to_read],
        "index_col": False,
        "skiprows": form.skipped,
        "skipinitialspace": True,
        "dtype": dict.fromkeys(texts, str),
        "keep_default_na": False,
        "na_values": {
            name: list(MISSING_NAMES if name in texts else MISSING_CELLS) for name in columns.to_read
        },
        "float_precision": "round_trip",  # the numbers that Python reads
        "low_memory": False,  # one type for each column
    }


def _read_parquet(path: Path, options: DataOptions, features: tuple[str, ...] | None) -> DataTable:
    _pandas()
    with needs_extra("tables", "pyarrow", "A Parquet file"):
        from pyarrow import parquet
    if not path.is_file():
        raise DataError(f"{path}: no such file. Expected a Parquet file.")
    with _pandas_errors(path):
        file = parquet.ParquetFile(path)
    names = tuple(name for name in file.schema_arrow.names if not name.startswith(PANDAS_INDEX))
    twice = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if twice is not None:
        raise DataError(f"{path}: two columns have the name '{reason(twice)}'. Rename one of them.")
    columns = choose_columns(path, names, options, expected=features)
    rows = file.metadata.num_rows
    if not rows:
        raise DataError(f"{path}: holds no rows. Expected rows of numbers.")
    if rows * len(columns.to_read) > MOST_PARQUET_CELLS:
        raise DataError(f"{path}: holds {rows:,} rows, which are too many. Split the file.")
    with _pandas_errors(path):
        frame = file.read(columns=list(columns.to_read)).to_pandas(ignore_metadata=True)
    return DataTable(path, columns, frame, None)


def _pandas() -> Any:
    with needs_extra("tables", "pandas", "A table"):
        import pandas
    return pandas


@contextmanager
def _pandas_errors(path: Path) -> Iterator[None]:
    """What pandas and pyarrow raise for a file that they cannot read, as one sentence."""
    try:
        yield
    except (OSError, ValueError, OverflowError, MemoryError) as error:
        raise DataError(f"{path}: cannot be read as a table ({reason(error).rstrip('.')}).") from None
