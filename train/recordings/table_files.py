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
"""What stands for a missing number. For a name, only an empty cell does: a class may be called None."""


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
    with _pandas_errors(path):
        frame = _pandas().read_csv(path, **_csv_settings(form, columns))
    if len(frame) != len(form.lines):
        raise DataError(
            f"{path}: pandas finds {len(frame)} rows, and {len(form.lines)} lines hold some. Remove "
            "blank lines and quotation marks."
        )
    return DataTable(path, columns, frame, form.lines)


def _csv_settings(form: CsvForm, columns: TableColumns) -> dict[str, Any]:
    texts = columns.texts
    return {
        "encoding": CSV_ENCODING,
        "sep": form.delimiter,
        "decimal": form.decimal,
        "header": None,
        "names": list(form.names),
        "usecols": [form.names.index(name) for name in columns.to_read],
        "index_col": False,
        "skiprows": form.skipped,
        "skipinitialspace": True,
        "dtype": dict.fromkeys(texts, str),
        "keep_default_na": False,
        "na_values": {name: [""] if name in texts else list(MISSING_CELLS) for name in columns.to_read},
        "float_precision": "round_trip",  # the numbers that Python reads
        "low_memory": False,  # one type for each column
    }


def _read_parquet(path: Path, options: DataOptions, features: tuple[str, ...] | None) -> DataTable:
    pandas = _pandas()
    with needs_extra("tables", "pyarrow", "A Parquet file"):
        from pyarrow import parquet
    if not path.is_file():
        raise DataError(f"{path}: no such file. Expected a Parquet file.")
    with _pandas_errors(path):
        schema = parquet.read_schema(path)
    names = tuple(schema.names)
    twice = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if twice is not None:
        raise DataError(f"{path}: two columns have the name '{reason(twice)}'. Rename one of them.")
    columns = choose_columns(path, names, options, expected=features)
    with _pandas_errors(path):
        frame = pandas.read_parquet(path, engine="pyarrow", columns=list(columns.to_read))
    if not len(frame):
        raise DataError(f"{path}: holds no rows. Expected rows of numbers.")
    return DataTable(path, columns, frame.reset_index(drop=True), None)


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
