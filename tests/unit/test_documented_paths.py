"""The files, modules and tests that documents name exist."""

from __future__ import annotations

import ast
import re

import pytest

from tests.support.commands import ROOT

FOLDERS = ("benchmarks", "convert", "docs", "edge_runtime", "examples", "scripts", "tests", "train")
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").glob("*.md")),
]
pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))

IN_A_FOLDER = re.compile(rf"(?<![\w./~:-])(?:{'|'.join(FOLDERS)})/[\w./-]*\w")
MODULE_FILE = re.compile(r"(?<![\w./~$-])(?:[\w-]+/)+\w+\.py\b")
MODULE = re.compile(rf"python3? -m ((?:{'|'.join(FOLDERS)})(?:\.\w+)*)")
TEST = re.compile(r"(tests/[\w/]+\.py)?::(test_\w+)")
"""A test by its identifier. One without a file is in the file named before it."""


@pages
def test_named_files_exist(page):
    text = page.read_text("utf-8")
    named = {*IN_A_FOLDER.findall(text), *MODULE_FILE.findall(text)}
    beside = (page.parent, ROOT)  # a link is relative to its page
    assert {path for path in named if not any((folder / path).exists() for folder in beside)} == set()


@pages
def test_named_modules_exist(page):
    modules = {module.replace(".", "/") for module in MODULE.findall(page.read_text("utf-8"))}
    runnable = {
        name for name in modules for end in (".py", "/__main__.py") if (ROOT / f"{name}{end}").exists()
    }
    assert modules == runnable


@pages
def test_named_tests_exist(page):
    file, missing = "", []
    for found, name in TEST.findall(page.read_text("utf-8")):
        file = found or file
        body = ast.parse((ROOT / file).read_text("utf-8")).body
        if not any(isinstance(item, ast.FunctionDef) and item.name == name for item in body):
            missing.append(f"{file}::{name}")
    assert not missing
