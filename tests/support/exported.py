"""Model files of any network, exported as C, and the C compiled by this machine's compiler."""

from __future__ import annotations

import subprocess
from pathlib import Path

from convert.c_export.export import CExport
from convert.compiler.compile import compile_network
from convert.model_file.archive import embed
from convert.source_model.network import Network
from edge_runtime.model_file.metadata import STEP
from edge_runtime.model_file.normalization import Normalization
from edge_runtime.numpy_engine.read_graph import read_graph
from scripts.microcontrollers.exported_program import (
    include_folders_of,
    model_sources_of,
    probe_sources_of,
)
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
    """A model file of a network, without probes. A network of tokens has no other normalization."""
    if network.tokens:
        normalization = Normalization.of_tokens(network.tokens)
    flatbuffer = compile_network(network, random_windows(network, 100), precision=precision, graph=graph)
    read = read_graph(flatbuffer)
    labels = tuple(f"class {k}" for k in range(read.tensors[read.output].shape[-1]))
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


def compile_here(exported: CExport, program: Path, *flags: str, compiler: str = "gcc") -> Path:
    """Compile an export and its probes with this machine's compiler. No warning is allowed."""
    folder = exported.folder
    folders = [f"-I{path}" for path in include_folders_of(folder)]
    sources = [*model_sources_of(folder), *probe_sources_of(folder)]
    command = [compiler, *STRICT, "-O2", "-ffp-contract=off", *flags, *folders]
    command += [*map(str, sources), "-o", str(program), "-lm"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return program
