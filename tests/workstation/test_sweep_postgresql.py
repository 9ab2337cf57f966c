"""A sweep whose study is in a real PostgreSQL: several processes, one of them killed; a whole trial."""

from __future__ import annotations

import json

import pytest

from edge_runtime.errors import EngineError
from tests.support.command_server import edge_rnn
from tests.support.commands import succeed
from tests.support.postgresql import PASSWORD, postgresql, programs
from tests.unit.test_sweep_study import (
    TRIALS,
    end,
    kill_in_second_trial,
    settings_by_slot,
    start,
    trials_of,
)
from train.sweep.study import PROBLEM, counts

SPEC = """
[data]
path = "digits"
[train]
iterations = 20
[search]
units = [4, 5]
[convert]
precision = "float32"
[sweep]
trials = 1
cost = "size"
"""


@pytest.fixture(scope="module")
def url():
    try:
        programs()
    except EngineError as error:
        pytest.skip(f"no PostgreSQL: {error}")
    with postgresql() as found:
        yield found


def test_killed_and_continued_by_two_processes_in_a_database(url, tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"  # as on two machines
    here.mkdir()
    kill_in_second_trial(here, url)
    reported = end(start(here, url), start(there, url))
    trials = trials_of(here, url)
    assert len([trial for trial in trials if counts(trial)]) == TRIALS
    assert {0, *reported} == {trial.number for trial in trials if counts(trial)}
    lost = [trial for trial in trials if trial.state.name == "FAIL" and PROBLEM not in trial.user_attrs]
    assert [trial.number for trial in lost] == [1]
    assert sorted(settings_by_slot(trials)) == list(range(TRIALS))
    assert end(start(there, url)) == []


def test_a_whole_trial_and_no_password_anywhere(url, tmp_path):
    (tmp_path / "SPEC.toml").write_text(SPEC)
    given = ("sweep", "SPEC.toml", "--out", "out", "--storage", url)
    said = succeed(edge_rnn(*given, cwd=tmp_path))
    assert json.loads((tmp_path / "out" / "front.json").read_text())["front"][0]["trial"] == 0
    (tmp_path / "SPEC.toml").write_text(SPEC.replace("20", "30"))
    other = edge_rnn(*given, cwd=tmp_path)
    assert other.returncode == 2
    assert ":***@" in other.stderr
    assert (
        "holds another sweep named SPEC, whose settings differ. Choose another [sweep] na"
        in other.stderr
    )
    wrong = edge_rnn(*given[:-1], url.replace("postgres?", "absent?"), cwd=tmp_path)
    assert wrong.returncode == 2
    assert 'database "absent" does not exist' in wrong.stderr
    assert len(wrong.stderr.splitlines()) == 1
    for text in (said, other.stderr, wrong.stderr):
        assert PASSWORD not in text
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or PASSWORD.encode() not in path.read_bytes()
