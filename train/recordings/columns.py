"""Which column of a table is what: label, recording, group, time, split, and the features."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.errors import DataError, InputError, reason
from train.recordings.data_options import DataOptions

ROLES = ("label", "recording", "group", "time", "split")
"""What a column can be besides a feature; its option is --ROLE-column."""

TELLING_NAMES = {
    "label": ("label", "labels", "class", "activity", "target"),
    "recording": ("recording", "recording_id", "session", "session_id", "trial", "file", "filename"),
    "group": (
        "group",
        *("subject", "subject_id", "subjectid", "user", "user_id", "userid"),
        *("participant", "person", "patient", "device", "device_id", "site"),
    ),
    "time": ("time", "timestamp", "timestamps", "datetime", "date", "epoch", "seconds_elapsed", "t"),
    "split": ("split", "fold", "set", "partition"),
    "": ("id", "index", "row", "unnamed:_0"),
}
"""Role, or "" -> names of columns that are hardly ever a feature, in lower case with `_` for spaces.

Such a column would often give the class away, and accuracy would look better than it is.
"""

UNIT_IN_NAME = re.compile(r"[\s_\-.(\[/]+(s|ms|us|µs|μs|ns)[)\]]?$", re.IGNORECASE)
"""The unit of a time at the end of a name, after `_`, a space or a bracket."""

MOST_COLUMNS_LISTED = 20
"""Columns that a message lists."""


@dataclass(frozen=True)
class TableColumns:
    """The names of the columns to read."""

    features: tuple[str, ...]
    roles: dict[str, str]
    """Role -> column, for those of ROLES that are given."""

    @property
    def to_read(self) -> tuple[str, ...]:
        """Each column once, the features first."""
        return tuple(dict.fromkeys((*self.features, *self.roles.values())))

    @property
    def texts(self) -> tuple[str, ...]:
        """The columns that hold names: all roles but the time."""
        return tuple(column for role, column in self.roles.items() if role != "time")


def choose_columns(
    path: Path,
    names: tuple[str, ...],
    options: DataOptions,
    unnamed: tuple[str, ...] = (),
    expected: tuple[str, ...] | None = None,
) -> TableColumns:
    """The columns of the file `path`, which has `names`.

    `unnamed`: those that the file gives no name. `expected`: the features of the data set's first file.
    Raises InputError naming the option, or DataError for columns that nobody has named.
    """
    given = {role: getattr(options, f"{role}_column") for role in ROLES}
    roles = {role: column for role, column in given.items() if column is not None}
    for role, column in roles.items():
        _check_exists(f"--{role}-column", column, path, names)
    for column in options.feature_columns:
        _check_exists("--feature-columns", column, path, names)
    _check_apart(roles, options.feature_columns)
    features = options.feature_columns or tuple(name for name in names if name not in roles.values())
    if expected is not None:
        _check_same(path, features, expected)
        return TableColumns(expected, roles)
    if not options.feature_columns:
        _check_features(path, features, unnamed)
    return TableColumns(features, roles)


def listed(names: tuple[str, ...]) -> str:
    """The names for a message, not more than MOST_COLUMNS_LISTED."""
    shown = ", ".join(reason(name) for name in names[:MOST_COLUMNS_LISTED])
    return (
        shown
        if len(names) <= MOST_COLUMNS_LISTED
        else f"{shown} and {len(names) - MOST_COLUMNS_LISTED} more"
    )


def _check_exists(option: str, column: str, path: Path, names: tuple[str, ...]) -> None:
    if column not in names:
        raise InputError(f"{option}: {path} has no column '{column}'. Its columns: {listed(names)}.")


def _check_apart(roles: dict[str, str], features: tuple[str, ...]) -> None:
    """A column may be both recording and group. The label and the time are nothing else."""
    for role, column in roles.items():
        if column in features:
            raise InputError(
                f"--feature-columns: '{column}' is also --{role}-column. Leave it out of the features."
            )
        others = [other for other in roles if other != role and roles[other] == column]
        if role in ("label", "time") and others:
            raise InputError(
                f"--{role}-column: '{column}' is also --{others[0]}-column. Name another column."
            )


def _check_features(path: Path, features: tuple[str, ...], unnamed: tuple[str, ...]) -> None:
    """Refuses features that were taken only because nobody has said what the column is."""
    if not features:
        raise DataError(f"{path}: no column is left as a feature. Expected columns of measurements.")
    for column in features:
        if column in unnamed:
            raise DataError(
                f"{path}: {column.strip('()')} has no name, and may only count the rows. Name the "
                "features with --feature-columns."
            )
        role = next((role for role, known in TELLING_NAMES.items() if _bare(column) in known), None)
        if role is not None:
            option = f"Pass --{role}-column {shlex.quote(column)}, or name" if role else "Name"
            raise DataError(
                f"{path}: column '{reason(column)}' does not look like a feature. {option} the features "
                "with --feature-columns."
            )


def _bare(column: str) -> str:
    """A name as TELLING_NAMES has it, without its unit."""
    return re.sub(r"[\s\-]+", "_", UNIT_IN_NAME.sub("", column.lower()).strip())


def _check_same(path: Path, features: tuple[str, ...], expected: tuple[str, ...]) -> None:
    missing = tuple(name for name in expected if name not in features)
    further = tuple(name for name in features if name not in expected)
    if missing:
        raise DataError(
            f"{path}: has no column '{reason(missing[0])}'. Expected the columns of the first file: "
            f"{listed(expected)}."
        )
    if further:
        raise DataError(
            f"{path}: has a column '{reason(further[0])}', which the first file does not have. Remove "
            "it, or name the features with --feature-columns."
        )
