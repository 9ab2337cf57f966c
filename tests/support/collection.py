"""Markers by folder and by fixture, and which tests have to run in one process of pytest-xdist.

Tests that share a fixture of their module run in one process, which makes it once. Every other test is
given to whichever process is free (`--dist loadgroup`). The longest come first.
"""

from __future__ import annotations

import pytest

FOLDERS = ("conformance", "device", "examples", "fuzz", "runtime", "unit", "workstation")
"""Under tests/; each is a marker, too."""

LONGEST_FIRST = ("fuzz", "device", "workstation", "examples", "conformance", "unit", "runtime")


def folder_of(item: pytest.Item) -> str:
    """The folder under tests/ that the test is in."""
    return next((name for name in item.path.parts if name in FOLDERS), "")


def group_of(item: pytest.Item) -> str:
    """The file, and the parameters of its module's fixtures; empty without such a fixture."""
    found = []
    for name in getattr(item, "fixturenames", ()):
        definitions = item._fixtureinfo.name2fixturedefs.get(name, ())
        if any(str(definition.scope) == "module" for definition in definitions):
            found.append(name)
    if not found:
        return ""
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    given = [f"{name}={parameters[name]}" for name in sorted(found) if name in parameters]
    return " ".join([item.path.stem, *given])


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests, and sort them by how long a folder's tests take."""
    for item in items:
        folder = folder_of(item)
        if folder:
            item.add_marker(folder)
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        names = {name.partition("_")[0] for name in getattr(item, "fixturenames", ())}
        if "mnist" in names or any(
            isinstance(value, str) and value == "mnist" for value in parameters.values()
        ):
            item.add_marker("mnist")
        group = group_of(item)
        if group:
            item.add_marker(pytest.mark.xdist_group(group))
    order = {name: number for number, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: order.get(folder_of(item), len(order)))
