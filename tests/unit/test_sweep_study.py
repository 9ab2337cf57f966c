"""Trials that several processes share in a file, and what becomes of those whose process was killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from edge_runtime.errors import DataError
from tests.support.commands import ROOT
from tests.support.sweep_process import PLAN
from train.sweep.liveness import LOCK_ENDING, WORKERS, join_workers
from train.sweep.sampler import SLOT
from train.sweep.study import PROBLEM, TRIAL_SETTINGS, counts, open_study, shown_url

TRIALS = 6


def start(folder: Path, storage: str = "-", hang: int = -1) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.support.sweep_process", folder, storage, TRIALS, hang]
    return subprocess.Popen([*map(str, command)], cwd=ROOT, stdout=subprocess.PIPE, text=True)


def end(*processes: subprocess.Popen[str]) -> list[int]:
    """The numbers of the trials that the processes report."""
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    return sorted(int(line) for output in outputs for line in output.splitlines())


def kill_in_second_trial(folder: Path, storage: str = "-") -> None:
    process = start(folder, storage, hang=1)
    deadline = time.monotonic() + 120
    while not (folder / "hangs").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()


def trials_of(folder: Path, storage: str | None = None) -> list:
    with join_workers(folder) as worker:
        return open_study(PLAN, worker, storage, create=False).get_trials()


def settings_by_slot(trials: list) -> dict[int, dict]:
    return {
        trial.user_attrs[SLOT]: trial.user_attrs[TRIAL_SETTINGS] for trial in trials if counts(trial)
    }


def test_killed_and_continued_by_two_processes_like_one_without_a_break(tmp_path):
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    shared.mkdir()
    first = start(alone)
    kill_in_second_trial(shared)
    assert end(first) == list(range(TRIALS))
    reported = end(start(shared), start(shared))
    trials = trials_of(shared)
    counted = [trial.number for trial in trials if counts(trial)]
    assert len(counted) == TRIALS
    assert set(counted) == {0, *reported}  # 0 is the one that the killed process had completed
    assert trials[1].state.name == "FAIL"  # and 1 the one that it was at
    assert PROBLEM not in trials[1].user_attrs
    assert settings_by_slot(trials) == settings_by_slot(trials_of(alone))
    assert {trial.user_attrs.get(PROBLEM) for trial in trials} == {None, "the rate is too high"}
    assert list((shared / WORKERS).iterdir()) == []
    assert end(start(shared)) == []  # nothing is left to do


def test_a_study_of_another_search_is_refused(tmp_path):
    with join_workers(tmp_path) as worker:
        with pytest.raises(DataError, match=r"holds no sweep named small\. Run 'edge-rnn sweep' first"):
            open_study(PLAN, worker, create=False)
        assert [path.name for path in tmp_path.iterdir()] == [WORKERS]
        open_study(PLAN, worker)
        with pytest.raises(DataError, match="holds another sweep named small, whose settings differ"):
            open_study(replace(PLAN, fingerprint="another"), worker)


def test_a_damaged_journal_is_one_sentence(tmp_path):
    (tmp_path / "study.journal").write_text("not JSON\n\n")
    with (
        join_workers(tmp_path) as worker,
        pytest.raises(DataError, match="^--out: the study's file can"),
    ):
        open_study(PLAN, worker)


@pytest.mark.parametrize(
    "storage", ["nonsense", "postgresql://u:secret@localhost:1/none", "mysql://u@h/n"]
)
def test_a_database_that_cannot_be_used(tmp_path, storage):
    with join_workers(tmp_path) as worker, pytest.raises(Exception, match="--storage") as caught:
        open_study(PLAN, worker, storage)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_passwords_are_not_shown():
    assert shown_url("postgresql://me:secret@host/db") == "postgresql://me:***@host/db"


def test_workers_see_who_lives(tmp_path):
    with join_workers(tmp_path) as one:
        with join_workers(tmp_path) as other:
            assert one.lives(other.name)
            (other.scratch / "file").touch()
        assert not one.lives(other.name)
        assert not other.scratch.exists()
        (one.folder / f"dead{LOCK_ENDING}").touch()
        (one.folder / "dead").mkdir()
        assert not one.lives("dead")
        with join_workers(tmp_path):  # cleans up what the dead left
            assert [path.name for path in one.folder.glob("dead*")] == []
