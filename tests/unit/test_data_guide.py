"""The commands of the guide on recordings print what it shows, and splits are refused as listed."""

from __future__ import annotations

import re
import shlex

import pytest
from click.testing import CliRunner

from edge_runtime.errors import DataError
from scripts.sample_recordings import write_samples
from tests.support.broken_splits import SPLIT_CASES
from tests.support.commands import ROOT
from train.data_command import data
from train.datasets.load import load_dataset
from train.recordings.data_options import DataOptions

GUIDE = ROOT / "docs" / "guides" / "data.md"

COMMAND = re.compile(r"^    (?:\$ )?edge-rnn data (samples/.+)\n((?:(?:    .*)?\n)*)", re.MULTILINE)
"""A command in a block of code, and the indented lines that follow it."""

LOADS_AEON = "samples/ts"
"""tests/unit/test_ts_file.py reads it: aeon takes seconds to load."""


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("guide")
    write_samples(folder / "samples")
    return folder


def commands():
    found = COMMAND.findall(GUIDE.read_text("utf-8"))
    return [(arguments, output) for arguments, output in found if LOADS_AEON not in arguments]


@pytest.mark.parametrize(("arguments", "output"), commands(), ids=[c for c, _ in commands()])
def test_commands_print_what_the_guide_shows(samples, monkeypatch, arguments, output):
    monkeypatch.chdir(samples)
    result = CliRunner().invoke(data, shlex.split(arguments), catch_exceptions=False)
    assert result.exit_code == 0
    assert "train would stop" not in result.output or "walks-broken" in arguments
    shown = "\n".join(line.removeprefix("    ") for line in output.splitlines()).strip()
    if shown:
        assert result.output.strip() == shown


@pytest.mark.parametrize("case", SPLIT_CASES, ids=lambda case: case.name)
def test_recordings_that_cannot_be_split_are_refused_with_one_sentence(case, tmp_path, monkeypatch):
    case.write(tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as caught:
        load_dataset(case.data, options=DataOptions(**case.options))
    assert str(caught.value) == case.sentence
