"""Each public name in the three packages has one meaning."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator

from tests.support.commands import ROOT

PACKAGES = ("convert", "edge_rnn_pytest", "edge_runtime", "train")

ONE_MEANING = {
    "BATCH",  # windows in one call of a full model
    "Array",  # abbreviations of numpy's types, private to the annotations of a module
    "Float32",
    "Float64",
    "Int64",
    "KERNELS",  # each arithmetic of the numpy engine has its kernels
    "Kernel",
    "RELU",  # its number in TFLite's schema
    "SPLIT_SEED",  # of splits that are part of the data
    "SUM_LEFT_SHIFT",
    "Shape",
    "TYPE_CHECKING",  # where importing typing would be too early
    "main",  # what runs when a module is started as a program
}
"""Names that are defined in more than one module and mean the same in each."""


def _defined(body: list[ast.stmt]) -> Iterator[str]:
    for statement in body:
        if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
            yield statement.name
        elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            names = (node for target in targets for node in ast.walk(target))
            yield from (node.id for node in names if isinstance(node, ast.Name))
        elif isinstance(statement, ast.If):
            yield from _defined(statement.body)


def test_no_public_name_is_defined_twice_with_two_meanings():
    modules = defaultdict(list)
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            for name in {*_defined(ast.parse(file.read_text("utf-8")).body)}:
                modules[name].append(str(file.relative_to(ROOT)))
    twice = {
        name: files for name, files in modules.items() if len(files) > 1 and not name.startswith("_")
    }
    assert {name: files for name, files in twice.items() if name not in ONE_MEANING} == {}
