"""Mutated files end in a typed error or a right answer: a part of `python -m tests.fuzz`.

The counts are shown at the end of the test run.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz.campaign import can_run, explained, run_target, table
from tests.fuzz.seeds import write_seeds
from tests.fuzz.targets import TARGETS
from tests.support.commands import PROVING, SEED
from tests.support.end_of_run import show_at_end
from tests.support.made_once import made_once

LOADER = 20_000
"""Mutations of model files, for all engines together."""

OTHERS = {
    "verify": 2500,
    "trust": 200,
    "numpy engine": 3000,
    "native plans": 5000,
    "native networks": 300,
    "native": 1500,
    "inspect": 3000,
    "tables": 300,
}
"""Beginning of a target's name -> mutations."""

INPUTS = 2000
"""Mutations of each kind of input."""


def _count(name: str) -> int:
    if name.startswith("loader"):
        return -(-LOADER // len(PROVING))
    return next((count for start, count in OTHERS.items() if name.startswith(start)), INPUTS)


@pytest.fixture(scope="session")
def results(pytestconfig, shared_folder) -> Iterator[Path]:
    """A folder for the counts of every target, in all test processes: shown at the end of the run."""
    folder = shared_folder / "fuzz-results"
    folder.mkdir(exist_ok=True)
    yield folder
    found = [pickle.loads(path.read_bytes()) for path in folder.glob("*.pickle")]
    if found:
        found.sort(key=lambda counts: list(TARGETS).index(counts.target))
        show_at_end(pytestconfig, "mutated files", table(found))


@pytest.mark.parametrize("name", TARGETS)
def test_every_mutation_is_refused_with_a_message_or_answered_correctly(results, shared_folder, name):
    if not can_run(name):
        pytest.skip("the compiler has no libasan.so")
    folder = made_once(shared_folder / "fuzz", lambda place: write_seeds(place / "seeds"))
    found = run_target(name, SEED, _count(name), folder)
    (results / f"{name}.pickle").write_bytes(pickle.dumps(found))
    assert explained([found]) == []
    assert found.mutations == _count(name)
    # The mutations are useful: some are refused, and for most targets some still work.
    assert found.refused > found.mutations / 4
    if not name.startswith("trust"):
        assert found.refused < found.mutations * 0.99


def test_there_are_enough_mutations_of_model_files():
    """Each target has tried as many mutations as it should, or its test above fails."""
    assert sum(_count(name) for name in TARGETS if name.startswith("loader")) >= LOADER
