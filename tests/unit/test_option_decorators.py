"""The options of a data set of recordings, as commands share them."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import click
import pytest
from click.testing import CliRunner

from edge_runtime.commands.option_groups import GroupedCommand
from edge_runtime.errors import InputError
from tests.support.commands import loaded_by
from train.option_decorators import DATA_OPTIONS, data_options, data_options_from
from train.recordings.data_options import DataOptions


def parsed(*arguments: str) -> DataOptions:
    found: list[DataOptions] = []

    @click.command(cls=GroupedCommand)
    @data_options
    def command(**parameters: Any) -> None:
        found.append(data_options_from(parameters))

    result = CliRunner().invoke(command, arguments)
    if result.exception is not None:
        raise result.exception
    return found[0]


def test_every_option_reaches_the_settings():
    assert parsed() == DataOptions()
    assert {field.name for field in fields(DataOptions)} == set(DATA_OPTIONS)
    columns = {name: name[:-7] for name in DATA_OPTIONS if name.endswith("_column")}
    typed = [part for name, value in columns.items() for part in (f"--{name.replace('_', '-')}", value)]
    found = parsed(
        *("--window", "8", "--hop", "2", "--label", "pure", "--fill", "linear"),
        *("--feature-columns", "a, b"),
        *typed,
    )
    assert found == DataOptions(8, 2, "pure", fill="linear", feature_columns=("a", "b"), **columns)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--window", "0"], "--window: expected at least 1, found 0."),
        (["--hop", "2"], "--hop: goes with --window."),
        (["--label", "first"], "--label: cannot be 'first'. Choose majority, last, pure."),
        (["--fill", "one"], "--fill: cannot be 'one'. Choose previous, linear, zero, split."),
        (["--feature-columns", "a,,b"], "--feature-columns: a name in 'a,,b' is empty."),
        (["--feature-columns", "a,a"], "--feature-columns: a name in 'a,a' stands there twice."),
    ],
)
def test_options_out_of_range_are_one_sentence(arguments, sentence):
    with pytest.raises(InputError, match="^" + sentence.replace(".", r"\.")):
        parsed(*arguments)


def test_the_module_loads_click_alone():
    assert not {"numpy", "pandas"} & loaded_by("import train.option_decorators")
