"""The built wheel holds the three packages and nothing else."""

from __future__ import annotations

import zipfile

from tests.support.commands import ROOT


def test_top_level_names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "convert",
        "edge_runtime",
        "train",
    }
    packages = ("convert", "edge_runtime", "train")
    modules = {name for name in names if name.split("/")[0] in packages}
    files = {path for package in packages for path in (ROOT / package).rglob("*") if path.is_file()}
    expected = {str(path.relative_to(ROOT)) for path in files if "__pycache__" not in path.parts}
    assert modules == expected
    assert {f"{package}/py.typed" for package in packages} <= modules
    assert any(name.endswith("LICENSE") for name in names)
