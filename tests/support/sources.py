"""A copy of the files that the package is built from."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.support.commands import ROOT

PACKAGES = ("convert", "edge_rnn_pytest", "edge_runtime", "train")
BUILD_FILES = ("LICENSE", "MANIFEST.in", "README.md", "pyproject.toml", "setup.py")


def package_files() -> set[str]:
    """The files of the packages, as paths in the repository. Those that a build makes are left out."""
    from scripts.compile_library import NOTE, library_name  # the tests of the wheel alone lack it

    files = {path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_file()}
    kept = {
        path
        for path in files
        if path.name not in (NOTE, library_name()) and "__pycache__" not in path.parts
    }
    return {path.relative_to(ROOT).as_posix() for path in kept}


def copy_of_sources(folder: Path) -> Path:
    """Copy the sources to `folder`, since setuptools would ship the remains of an earlier build."""
    for name in (*package_files(), *BUILD_FILES, "scripts/__init__.py", "scripts/compile_library.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder
