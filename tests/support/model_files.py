"""Model files of small random networks, for tests that need no training."""

from __future__ import annotations

import hashlib
import os
import zipfile
from pathlib import Path

from convert.model_file.archive import embed
from edge_runtime.model_file.metadata import LABELS_NAME, Metadata
from edge_runtime.model_file.normalization import Normalization
from edge_runtime.model_file.parity_report import ParityReport
from edge_runtime.model_file.read_file import read_model_file
from tests.support.networks import random_network, random_windows

FOLDER_VARIABLE = "EDGE_RNN_TEST_FLATBUFFERS"
"""The variable that names a folder with FlatBuffers by precision, for machines without the compiler."""


def metadata_for(flatbuffer: bytes, parity: ParityReport | None = None, **changes) -> Metadata:
    values = {
        "steps": 5,
        "features": 3,
        "labels": ("idle", "walk", "run", "fall"),
        "normalization": Normalization((10.0, 20.0, 30.0), (2.0, 4.0, 8.0)),
        "precision": "float32",
        "target": "any",
        "flatbuffer_bytes": len(flatbuffer),
        "flatbuffer_sha256": hashlib.sha256(flatbuffer).hexdigest(),
    }
    metadata = Metadata(**{**values, **changes})
    return metadata if parity is None else metadata.with_parity(parity)


def write_model(path: Path, precision: str = "float32", graph: str = "unrolled", **changes) -> Path:
    """A model of 5 steps, 3 features and 4 classes, with a normalization per feature."""
    flatbuffer = flatbuffer_of(precision, graph)
    if graph == "step":
        changes = {"graph": "step", "states": ("h", "c"), **changes}
    path.write_bytes(embed(flatbuffer, metadata_for(flatbuffer, precision=precision, **changes)))
    return path


def relabelled(path: Path, labels: tuple[str, ...]) -> Path:
    """The file with other labels, which the converter may refuse to write but a reader may meet."""
    content = read_model_file(path).flatbuffer
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    entries[LABELS_NAME] = "\n".join(labels).encode()
    path.write_bytes(content)
    with zipfile.ZipFile(path, "a") as archive:
        for name, entry in entries.items():
            archive.writestr(name, entry)
    return path


def flatbuffer_of(precision: str, graph: str = "unrolled") -> bytes:
    """The FlatBuffer of `random_network`, compiled by this machine or by the workstation."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder:
        return Path(folder, f"{precision}-{graph}").read_bytes()
    from convert.compiler.compile import compile_network

    network = random_network()
    return compile_network(network, random_windows(network), precision=precision, graph=graph)
