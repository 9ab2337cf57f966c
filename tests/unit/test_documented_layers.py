"""The layers in ARCHITECTURE.md are those of the import contracts."""

from __future__ import annotations

import re

import pytest
import tomllib

from tests.support.commands import ROOT


def documented(package: str) -> list[set[str]]:
    """The lines of the package's block in ARCHITECTURE.md, from the top."""
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    block = re.search(rf"^    {package}:(.+?)\n\n", text, re.MULTILINE | re.DOTALL)
    assert block
    return [{*line.strip().split(", ")} for line in block[1].splitlines()]


def contracted(package: str) -> list[set[str]]:
    """The layers of the package's contract in pyproject.toml, from the top."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    (contract,) = (
        item
        for item in settings["tool"]["importlinter"]["contracts"]
        if item["type"] == "layers" and item["containers"] == [package]
    )
    return [{*layer.split(" | ")} for layer in contract["layers"]]


@pytest.mark.parametrize("package", ["convert", "edge_runtime", "train"])
def test_layers_are_those_of_the_contract(package):
    assert documented(package) == contracted(package)
