"""Model files of any network, exported as C, and the C compiled by this machine's compiler."""

from __future__ import annotations

import subprocess
from pathlib import Path

from convert.c_export.export import CExport, export_c
from convert.compiler.compile import compile_network
from convert.model_file.archive import embed
from convert.source_model.network import Network
from edge_runtime.model_file.metadata import STEP
from edge_runtime.model_file.normalization import Normalization
from tests.support.model_files import metadata_for
from tests.support.networks import random_windows

STRICT = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror")
ALIKE = Normalization((0.5,), (2.0,))
"""All features normalized alike."""


def write_network(
    path: Path,
    network: Network,
    precision: str,
    graph: str = "unrolled",
    normalization: Normalization = ALIKE,
) -> Path:
    """A model file of a network, without probes."""
    flatbuffer = compile_network(
        network, random_windows(network, 100), precision=precision, graph=graph
    )
    labels = tuple(f'class "{k}"' for k in range(network.layers[-1].bias.size))
    changes = {"graph": "step", "states": ("h", "c")} if graph == STEP else {}
    metadata = metadata_for(
        flatbuffer,
        steps=network.steps,
        features=network.features,
        labels=labels,
        precision=precision,
        normalization=normalization,
        **changes,
    )
    path.write_bytes(embed(flatbuffer, metadata))
    return path


def sources_of(exported: CExport) -> list[Path]:
    """The C files of an export with its main program."""
    folder = exported.folder
    return [*sorted(folder.glob("src/*.c")), *folder.glob("examples/probes/*.c"), folder / "main.c"]


def include_folders(exported: CExport) -> list[Path]:
    """Where its headers are."""
    return [exported.folder / "src", exported.folder / "examples" / "probes"]


def compile_here(exported: CExport, program: Path, *flags: str, compiler: str = "gcc") -> Path:
    """Compile an export and its probes with this machine's compiler. No warning is allowed."""
    folders = [f"-I{folder}" for folder in include_folders(exported)]
    command = [compiler, *STRICT, "-O2", "-ffp-contract=off", *flags, *folders]
    command += [*map(str, sources_of(exported)), "-o", str(program)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return program


