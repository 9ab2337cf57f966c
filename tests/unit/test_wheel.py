"""The built wheel holds the three packages and nothing else."""

from __future__ import annotations

import zipfile


def test_top_level_names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "convert",
        "edge_runtime",
        "train",
    }
    for package in ("convert", "edge_runtime", "train"):
        assert f"{package}/py.typed" in names
    assert "edge_runtime/commands/predict.py" in names
    assert any(name.endswith("LICENSE") for name in names)
