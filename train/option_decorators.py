"""The options that say how a data set is to be understood, which the commands that read one share.

Importable with click alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Callable, TypeVar

import click

from edge_runtime.commands.option_groups import NamedChoice, option
from edge_runtime.errors import InputError
from train.recordings.data_options import FILLS, LABEL_RULES, DataOptions

_Command = TypeVar("_Command", bound=Callable[..., Any])

_recordings = partial(option, "Recordings")


class _NameList(click.ParamType):  # type: ignore[type-arg]  # generic in new versions of click
    """Names with commas between them, such as `ax,ay,az`."""

    name = "names"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """The names. Raises InputError for a name that is empty or stands there twice."""
        if not isinstance(value, str):
            return tuple(value)
        names = tuple(name.strip() for name in value.split(","))
        option_name = "The list" if param is None else param.opts[0]
        if "" in names:
            raise InputError(f"{option_name}: a name in {value!r} is empty. Write them as a,b,c.")
        if len(set(names)) < len(names):
            raise InputError(f"{option_name}: a name in {value!r} stands there twice. Name each once.")
        return names


class ListOf(click.ParamType):  # type: ignore[type-arg]  # generic in new versions of click
    """Values with commas between them, or a list of a settings file. One value is a list of one."""

    name = "list"

    def __init__(self, kind: type) -> None:
        self._kind = kind

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[Any, ...]:
        """The values. Raises InputError, which names the option, for one that cannot be read."""
        items = value.split(",") if isinstance(value, str) else value
        items = items if isinstance(items, (list, tuple)) else [items]
        name = "The list" if param is None else param.opts[0]
        expected = "whole numbers" if self._kind is int else "names"
        try:
            return tuple(self._kind(str(item).strip()) for item in items)
        except ValueError:
            raise InputError(
                f"{name}: expected {expected} with commas between them, found {value!r}."
            ) from None


_OPTIONS = (
    _recordings("--window", type=int, metavar="ROWS", help="The number of rows in a window."),
    _recordings(
        "--hop",
        type=int,
        metavar="ROWS",
        help="The number of rows from the start of one window to the start of the next. Default: "
        "--window, so that windows do not overlap.",
    ),
    _recordings(
        "--label",
        type=NamedChoice(list(LABEL_RULES)),
        default="majority",
        show_default=True,
        help="The class of a window whose rows have different ones: majority, that of most rows; last, "
        "that of the last row; pure, such a window is left out.",
    ),
    _recordings("--label-column", metavar="NAME", help="The column of a table with the class."),
    _recordings(
        "--recording-column",
        metavar="NAME",
        help="The column that says which recording a row belongs to. No window spans two recordings.",
    ),
    _recordings(
        "--group-column",
        metavar="NAME",
        help="The column with the person, device or site. The split keeps each of them in one part.",
    ),
    _recordings(
        "--time-column",
        metavar="NAME",
        help="The column with the time, in seconds or as dates. Gaps in it are found.",
    ),
    _recordings(
        "--split-column",
        metavar="NAME",
        help="The column that says train, validation or test, if the data set has a split of its own.",
    ),
    _recordings(
        "--feature-columns",
        type=_NameList(),
        metavar="NAMES",
        help="The columns to use as features, with commas between them. Default: all columns that the "
        "other options do not name.",
    ),
    _recordings(
        "--fill",
        type=NamedChoice(list(FILLS)),
        metavar="HOW",
        help="What becomes of missing values and gaps, which are an error otherwise. previous: repeat "
        "the last value; linear: a line between the values around; zero; split: end the recording "
        "there.",
    ),
)

DATA_OPTIONS = (
    "window",
    "hop",
    "label",
    "label_column",
    "recording_column",
    "group_column",
    "time_column",
    "split_column",
    "feature_columns",
    "fill",
)
"""The names of the parameters that `data_options` adds, which are those of DataOptions."""


def data_options(command: _Command) -> _Command:
    """Adds the options of a data set of recordings, under the heading Recordings."""
    for decorator in reversed(_OPTIONS):
        command = decorator(command)
    return command


def data_options_from(parameters: Mapping[str, Any]) -> DataOptions:
    """The options in the parameters of a command that has `data_options`.

    `parameters`: `context.params` or the command's own keyword arguments; others are passed over.
    Raises InputError, which names the option, out of range.
    """
    given = {name: parameters.get(name) for name in DATA_OPTIONS}
    return DataOptions(**{name: value for name, value in given.items() if value is not None})
