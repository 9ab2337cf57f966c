"""Mutated files end in a typed error or a right answer: a part of `python -m tests.fuzz` for every run.

The counts are shown at the end of the test run.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.fuzz.campaign import Counts, explained, run_target, table, write_seeds_once
from tests.fuzz.targets import TARGETS
from tests.support.commands import ENGINES, SEED
from tests.support.end_of_run import show_at_end

LOADER = 20_000
"""Mutations of model files, for all engines together."""

OTHERS = {"verify": 2500, "trust": 200, "numpy engine": 3000, "inspect": 3000}
"""Beginning of a target's name -> mutations."""

INPUTS = 2000
"""Mutations of each kind of input."""

AT_ONCE = 2


def _count(name: str) -> int:
    if name.startswith("loader"):
        return -(-LOADER // len(ENGINES))
    return next((count for start, count in OTHERS.items() if name.startswith(start)), INPUTS)


@pytest.fixture(scope="module")
def counts(pytestconfig, tmp_path_factory) -> dict[str, Counts]:
    """Target -> what its mutations came to."""
    folder = tmp_path_factory.mktemp("fuzz")
    write_seeds_once(folder)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(lambda name: run_target(name, SEED, _count(name), folder), TARGETS))
    show_at_end(pytestconfig, "mutated files", table(found))
    return {item.target: item for item in found}


@pytest.mark.parametrize("name", TARGETS)
def test_every_mutation_is_refused_in_a_sentence_or_answered_rightly(counts, name):
    found = counts[name]
    assert explained([found]) == []
    assert found.mutations == _count(name)
    # The mutations are worth something: some are refused, and of most targets some still work.
    assert found.refused > found.mutations / 4
    if not name.startswith("trust"):
        assert found.refused < found.mutations * 0.99


def test_there_were_enough_mutations_of_model_files(counts):
    assert sum(item.mutations for name, item in counts.items() if name.startswith("loader")) >= LOADER
