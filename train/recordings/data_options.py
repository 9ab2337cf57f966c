"""How a data set is to be understood: the data options of `edge-rnn train` and `edge-rnn data`."""

from __future__ import annotations

from dataclasses import dataclass

from edge_runtime.errors import InputError

LABEL_RULES = ("majority", "last", "pure")
FILLS = ("previous", "linear", "zero", "split")


@dataclass(frozen=True)
class DataOptions:
    """Settings of a data set of recordings. Raises InputError, which names the option, out of range."""

    window: int | None = None
    """Rows of a window, its steps. None: every recording is one window (all of the same length)."""
    hop: int | None = None
    """Rows from one window's start to the next; None: `window`, so windows do not overlap."""
    label: str = "majority"
    """The class of a window whose rows differ: that of most rows, of the last row, or, with `pure`, the
    window is left out unless all rows agree."""
    label_column: str | None = None
    recording_column: str | None = None
    group_column: str | None = None
    time_column: str | None = None
    split_column: str | None = None
    feature_columns: tuple[str, ...] = ()
    """The columns of a table to take as features; empty: all that the other options do not name."""
    fill: str | None = None
    """What becomes of missing values and of gaps in time: `previous` and `linear` fill from the rows
    around, `zero` with 0, `split` ends the recording there. None: they are an error."""

    def __post_init__(self) -> None:
        if self.window is not None and self.window < 1:
            raise InputError(f"--window: expected at least 1, found {self.window}.")
        if self.hop is not None and self.hop < 1:
            raise InputError(f"--hop: expected at least 1, found {self.hop}.")
        if self.hop is not None and self.window is None:
            raise InputError("--hop: goes with --window. Pass the number of rows of a window.")
        for option, value, choices in (
            ("--label", self.label, LABEL_RULES),
            ("--fill", self.fill, (None, *FILLS)),
        ):
            if value not in choices:
                raise InputError(
                    f"{option}: cannot be {value!r}. Choose {', '.join(c for c in choices if c)}."
                )
