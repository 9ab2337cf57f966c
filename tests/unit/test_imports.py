"""No import circles in the three packages, of any kind.

import-linter's contracts state which layer may import which. They leave imports within a layer free, so
this test adds what they cannot see: every import statement counts here, at module level, inside a
function and under TYPE_CHECKING alike.
"""

from __future__ import annotations

import ast
from collections.abc import Container, Iterator, Mapping

from tests.support.commands import ROOT

PACKAGES = ("convert", "edge_rnn_pytest", "edge_runtime", "train")

Imports = Mapping[str, set[str]]
"""Module -> the modules it imports."""


def _sources() -> dict[str, str]:
    """Module -> its source text; a package is known by its own name."""
    files = (file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
    return {
        ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file.read_text(
            "utf-8"
        )
        for file in files
    }


def _imported(statement: ast.AST, known: Container[str]) -> Iterator[str]:
    """The modules that a statement names, without the packages above them that Python runs first."""
    if isinstance(statement, ast.Import):
        yield from (alias.name for alias in statement.names)
    if isinstance(statement, ast.ImportFrom) and statement.module:
        for alias in statement.names:
            submodule = f"{statement.module}.{alias.name}"
            yield submodule if submodule in known else statement.module


def imports(sources: Mapping[str, str]) -> Imports:
    """The imports among modules, given as name -> source text."""
    return {
        module: {
            name
            for node in ast.walk(ast.parse(text))
            for name in _imported(node, sources)
            if name in sources
        }
        for module, text in sources.items()
    }


def circles(graph: Imports) -> list[list[str]]:
    """The groups of modules that import one another, directly or through others."""
    reached = {module: _reached(graph, module) for module in graph}
    groups = {
        frozenset(other for other in reached[module] if module in reached[other]) for module in graph
    }
    return sorted(sorted(group) for group in groups if group)


def _reached(graph: Imports, start: str) -> set[str]:
    """Every module that importing `start` leads to; `start` itself only through a circle."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = graph[waiting.pop()] - found
        found |= new
        waiting += new
    return found


def test_no_import_circle_of_any_kind():
    graph = imports(_sources())
    assert sum(map(len, graph.values())) > 500  # it does see imports
    assert circles(graph) == []


def test_a_circle_under_type_checking_and_in_a_function_is_found():
    sources = {
        "p": "",
        "p.a": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from p.b import B\n",
        "p.b": "def make():\n    from p import a\n    return a\n",
        "p.c": "import p.a\nimport p.b\n",
    }
    assert circles(imports(sources)) == [["p.a", "p.b"]]
