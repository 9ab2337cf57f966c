"""Markers by folder and by fixture, and which tests have to run in one process of pytest-xdist.

Tests that share a fixture of their module run in one process, which makes the fixture once. Every other
test runs in whichever process is free (`--dist loadgroup`). The longest tests come first, and short ones
fill the end.
"""

from __future__ import annotations

import pytest

LONGEST_FIRST = ("workstation", "device", "fuzz", "examples", "conformance", "unit", "runtime")
"""Folders under tests/. Each is also a marker."""

BOARDS, FIRST_BOARD = "test_arm", "cortex-a7"
AFTER = LONGEST_FIRST.index("workstation") + 0.5
"""Where the other boards come."""

TRAINED = {"trained", "digits_run", "mnist_run", "mnist_seed_run", "boards"}
"""Fixtures that train a network."""

MNIST = {"mnist_data", "mnist_run", "mnist_seed_run"}


def folder_of(item: pytest.Item) -> str:
    """The folder under tests/ that the test is in."""
    return next((name for name in item.path.parts if name in LONGEST_FIRST), "")


def markers_of(item: pytest.Function) -> set[str]:
    """Names of the markers."""
    fixtures, parameters = {*item.fixturenames}, _parameters(item)
    found = {folder_of(item)} - {""}
    if fixtures & TRAINED:
        found.add("trained")
    if fixtures & MNIST or parameters.get("trained") == "mnist":
        found.add("mnist")
    return found


def group_of(item: pytest.Function) -> str:
    """The file, and the parameters of its module's fixtures; empty without such a fixture.

    Tests of one emulated board are a group too, as each of them waits for what the board computes.
    """
    parameters = _parameters(item)
    if "boards" in item.fixturenames and "cpu" in parameters:
        return f"{item.path.stem} {parameters['cpu']}"
    definitions = item._fixtureinfo.name2fixturedefs
    shared = [
        name
        for name in item.fixturenames
        if any(found.scope == "module" for found in definitions.get(name, ()))
    ]
    if not shared:
        return ""
    given = [f"{name}={parameters[name]}" for name in sorted(shared) if name in parameters]
    return " ".join([item.path.stem, *given])


def _parameters(item: pytest.Function) -> dict[str, object]:
    return item.callspec.params if hasattr(item, "callspec") else {}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests, and sort them by how long a folder's tests take."""
    for item in items:
        if not isinstance(item, pytest.Function):
            continue
        for marker in sorted(markers_of(item)):
            item.add_marker(marker)
        group = group_of(item)
        if group:
            item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> float:
    """The first board comes before everything else: the others need the same trained network.

    Were they started together, every process would wait while one trains it.
    """
    board = group_of(item).startswith(BOARDS) if isinstance(item, pytest.Function) else False
    if board and _parameters(item).get("cpu") == FIRST_BOARD:
        return -1
    if board:
        return AFTER
    return LONGEST_FIRST.index(folder_of(item)) if folder_of(item) else -1
