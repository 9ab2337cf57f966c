"""The native engine's library, also with sanitizers, runs every model in memory of exactly its size."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_runtime.native.library import load_library
from tests.fuzz.seeds import write_seeds
from tests.support.commands import ROOT
from tests.support.made_once import made_once
from tests.support.native_cases import write_cases
from tests.support.sanitized_builds import (
    NOT_WRAPPING,
    WRAPPING,
    environment,
    has_sanitizers,
    run_module,
    write_sanitized,
)

ORDINARY = "ordinary"
BUILDS = (ORDINARY, WRAPPING, pytest.param(NOT_WRAPPING, marks=pytest.mark.nightly))

OVERRUN = """
from tests.support.native_cases import random_plan
from tests.support.native_plans import Checked
with Checked("plain", random_plan().data.tobytes()) as plan, plan.arena(1) as arena:
    assert not plan.problem()
    plan.run(arena, 1)
    print("one lane", flush=True)
    plan.functions.er_run(plan.table, plan._block.address, arena.address, 2)
    print("two lanes in the memory of one")
"""


@pytest.fixture(scope="module", params=BUILDS)
def variables(request, shared_folder) -> dict[str, str]:
    """The environment of a process with that build of the library."""
    if request.param == ORDINARY:
        return dict(os.environ)
    if not has_sanitizers():
        pytest.skip("the compiler has no libasan.so")
    folder = made_once(shared_folder / "fuzz", lambda place: write_seeds(place / "seeds"))
    # The one that wraps is also the campaign's (campaign.run_target).
    name = "sanitized" if request.param == WRAPPING else f"sanitized-{request.param}"
    return environment(made_once(folder / name, lambda place: write_sanitized(place, request.param)))


@pytest.fixture(scope="module")
def cases(shared_folder) -> Path:
    """A pickle of every network and operator."""
    folder = made_once(shared_folder / "native-cases", lambda place: write_cases(place / "cases"))
    return folder / "cases"


def test_every_model_stays_inside_its_memory_and_gives_the_numpy_engines_numbers(variables, cases):
    counts = json.loads(run_module("tests.support.native_child", cases, variables=variables))
    assert tuple(counts["kernels"]) == load_library().kernels
    assert counts["models"] > 400
    assert counts["runs"] == 5 * counts["models"] * len(counts["kernels"])
    assert counts["windows"] > 10_000


def test_a_lane_too_many_is_noticed(variables):
    command = [sys.executable, "-c", OVERRUN]
    child = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    assert child.stdout == "one lane\n"
    assert child.returncode != 0
