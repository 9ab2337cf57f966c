"""A table in memory: cells as pandas read them, and what a cell's place is called in a message."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import DataError, reason
from train.recordings.columns import TableColumns

LONGEST_SHOWN = 30
"""Characters of a cell that a message shows."""


@dataclass(frozen=True, eq=False)
class DataTable:
    """The columns of a file that are used."""

    path: Path
    columns: TableColumns
    frame: Any
    """pandas.DataFrame with `columns.to_read`: numbers, or objects (str, missing) for text."""
    lines: NDArray[np.int64] | None
    """`[rows]`: the line of each row, from 1; None for a file without lines."""

    def __len__(self) -> int:
        return len(self.frame)

    def place(self, row: int) -> str:
        """Where a row stands, as a message begins: the file and its line, or its row from 1."""
        return place_of_row(self.path, self.lines, row)

    def text(self, column: str) -> NDArray[np.object_]:
        """`[rows]` of a column with names: str without spaces around, or None where there is none."""
        series = self.frame[column]
        if series.dtype.kind == "f":  # whole numbers, of which some are missing
            whole = series.dropna() % 1 == 0
            series = series.astype("Int64") if whole.all() else series
        known = series.notna().to_numpy()
        texts = np.full(len(series), None, object)
        texts[known] = [str(value).strip() for value in series[known]]
        texts[texts == ""] = None
        return texts

    def numbers(self) -> NDArray[np.float32]:
        """`[rows, features]`, NaN where a value is missing. Raises DataError for what is no number."""
        values = np.empty((len(self), len(self.columns.features)), np.float32)
        for index, column in enumerate(self.columns.features):
            values[:, index] = self._float32(column)
        return values

    def _float32(self, column: str) -> NDArray[np.float32]:
        exact = self.float64(column)
        infinite = np.isinf(exact)
        if infinite.any():
            row = int(infinite.argmax())
            raise DataError(
                f"{self.place(row)}: column '{column}' holds infinity. Leave the cell empty, and pass "
                "--fill."
            )
        with np.errstate(over="ignore"):
            values = exact.astype(np.float32)
        beyond = np.isinf(values)
        if beyond.any():
            row = int(beyond.argmax())
            raise DataError(
                f"{self.place(row)}: column '{column}' holds {exact[row]:g}, which is beyond float32. "
                "Scale the column."
            )
        return values

    def float64(self, column: str) -> NDArray[np.float64]:
        """`[rows]` of a column with numbers, NaN where one is missing."""
        series = self.frame[column]
        if series.dtype.kind in "iufb":
            return np.asarray(series.to_numpy(dtype=np.float64, na_value=np.nan), np.float64)
        return np.asarray(
            [self._number(row, column, cell) for row, cell in enumerate(series)], np.float64
        )

    def _number(self, row: int, column: str, cell: Any) -> float:
        """A cell of a column in which not all are numbers."""
        try:
            if np.ndim(cell) == 0 and "_" not in str(cell):
                return float("nan" if cell is None else cell)
        except (TypeError, ValueError):
            pass
        shown = reason(str(cell)[:LONGEST_SHOWN])
        advice = ", or name the features with --feature-columns" if self._is_feature(column) else ""
        raise DataError(
            f"{self.place(row)}: column '{column}' holds '{shown}', which is no number. Correct "
            f"it{advice}."
        )

    def _is_feature(self, column: str) -> bool:
        return column in self.columns.features


def place_of_row(path: Path, lines: NDArray[np.int64] | None, row: int) -> str:
    """Where a row stands, as a message begins: the file and its line, or its row from 1."""
    return f"{path}, row {row + 1}" if lines is None else f"{path}, line {lines[row]}"
