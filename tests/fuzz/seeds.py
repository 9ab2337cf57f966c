"""The valid files to be mutated: small models of every kind, and one of real size."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from convert.compiler.compile import compile_network
from convert.model_file.archive import embed
from convert.model_file.flatbuffer import serialize
from convert.source_model.network import Embedding, Network
from edge_runtime.inference.classifier import Classifier
from edge_runtime.inference.step_model import NO_NORMALIZATION
from edge_runtime.model_file.metadata import STEP, UNROLLED, Metadata
from edge_runtime.model_file.normalization import Normalization
from edge_runtime.model_file.parity_figures import EngineParity, ParityBudget, RowParity
from edge_runtime.model_file.parity_report import ParityReport
from edge_runtime.model_file.probe_record import ProbeRecord
from edge_runtime.model_file.probes import Probes
from tests.support.branching_networks import branching_networks
from tests.support.model_files import metadata_for
from tests.support.networks import RandomLayers, layer_combinations, random_network, random_windows
from tests.support.operator_graphs import operator_graphs

STEPS, FEATURES, CLASSES = 3, 3, 4
"""Steps, features and classes of the small models, the one of pixels included."""

SMALL = {
    "float32": ("float32", UNROLLED, False),
    "float16": ("float16", UNROLLED, False),
    "dynamic": ("dynamic", UNROLLED, False),
    "int16x8": ("int16x8", UNROLLED, False),
    "mixed": ("mixed", UNROLLED, False),
    "int8": ("int8", UNROLLED, False),
    "step-float32": ("float32", STEP, False),
    "step-int8": ("int8", STEP, False),
    "stripped": ("int8", UNROLLED, True),
}
"""Name -> precision, graph, whether tensor names are left out."""

TOKENS = "tokens"
"""A model of 12 tokens, in int8."""
PIXELS = "pixels"
REAL = "real"
"""LSTM(128) in float32 with 28 steps of 28 features, as for MNIST: about 350 kB."""

PLAIN_SUFFIX = ".plain"
"""The suffix of the same model without normalization, which tells what a changed one should give."""

NETWORKS = "networks"
"""The folder beside the files with FlatBuffers of every kind of layer, for the native engine."""

FLOATS = ("float32", "float16", "step-float32", REAL)
"""Beginnings of the names of models that multiply float matrices, in which engines differ."""

_LABELS = ("idle", "walk", "run", "fall")


def write_seeds(folder: Path) -> None:
    """Every seed as `NAME.tflite`, and its twin without normalization as `NAME.plain`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (precision, graph, strip) in SMALL.items():
        _write(folder, name, precision, graph=graph, strip=strip)
    tokens = Normalization.of_tokens(12)
    _write(folder, TOKENS, "int8", size=(STEPS, 1, 3, CLASSES), normalization=tokens)
    _write(folder, PIXELS, "int8", normalization=Normalization((33.0,), (78.0,), "uint8"))
    real = Normalization((33.0,), (78.0,), "uint8")
    _write(folder, REAL, "float32", size=(28, 28, 128, 10), normalization=real)
    write_networks(folder / NETWORKS)


def write_networks(folder: Path) -> None:
    """Every kind of layer in each precision, and some as one step, as `PRECISION-NUMBER`. Networks with
    branches, and the operators that few layers have, as `operator-NUMBER`."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, network in enumerate(layer_combinations().values()):
        windows = random_windows(network, 16)
        for precision in ("float32", "dynamic", "int16x8", "mixed", "int8"):
            flatbuffer = compile_network(network, windows, precision=precision)
            (folder / f"{precision}-{number}").write_bytes(flatbuffer)
    for number, network in enumerate(branching_networks().values()):
        windows = random_windows(network, 16)
        for precision in ("float32", "int8"):
            flatbuffer = compile_network(network, windows, precision=precision)
            (folder / f"{precision}-branching-{number}").write_bytes(flatbuffer)
    for number, graph in enumerate(operator_graphs().values()):
        (folder / f"operator-{number}").write_bytes(serialize(graph))
    network = random_network(STEPS, FEATURES, 5, CLASSES)
    windows = random_windows(network, 16)
    for precision in ("float32", "dynamic", "int16x8", "int8"):
        flatbuffer = compile_network(network, windows, precision=precision, graph=STEP)
        (folder / f"{precision}-step").write_bytes(flatbuffer)


def read_networks(folder: Path) -> dict[str, bytes]:
    """Name -> the FlatBuffer that `write_networks` wrote; `folder`: that of the seeds."""
    return {path.name: path.read_bytes() for path in sorted((folder / NETWORKS).iterdir())}


def _write(
    folder: Path,
    name: str,
    precision: str,
    *,
    graph: str = UNROLLED,
    strip: bool = False,
    size: tuple[int, int, int, int] = (STEPS, FEATURES, 3, CLASSES),
    normalization: Normalization = Normalization((10.0, 20.0, 30.0), (2.0, 4.0, 8.0)),
) -> None:
    steps, features, _, classes = size
    network = _network(name, size, normalization.tokens)
    flatbuffer = compile_network(
        network, random_windows(network, 16), precision=precision, graph=graph, strip=strip
    )
    facts = {
        "steps": steps,
        "features": features,
        "labels": _LABELS if classes == CLASSES else tuple(map(str, range(classes))),
        "precision": precision,
        "graph": graph,
        "states": ("h", "c") if graph == STEP else (),
    }
    metadata = metadata_for(
        flatbuffer,
        **facts,
        normalization=normalization,
        source={"model_sha256": "0" * 64, "dataset": "random"},
        tools={"edge-rnn": "0"},
        notes=("a sentence",),
        parity=_report(precision, len(flatbuffer), steps if graph == STEP else 0),
    )
    plain = folder / f"{name}{PLAIN_SUFFIX}"
    unchanged = normalization if normalization.tokens else NO_NORMALIZATION
    plain.write_bytes(embed(flatbuffer, metadata_for(flatbuffer, **facts, normalization=unchanged)))
    (folder / f"{name}.tflite").write_bytes(embed(flatbuffer, metadata, _probes(plain, metadata)))


def _network(name: str, size: tuple[int, int, int, int], tokens: int) -> Network:
    """No two seeds have the same FlatBuffer. Models of tokens look them up first."""
    steps, features, units, classes = size
    seed = sum(name.encode())
    if not tokens:
        return random_network(*size, seed=seed)
    network = random_network(steps, 4, units, classes, seed=seed)
    table = RandomLayers(seed).weights(tokens, 4)
    return Network(steps, features, (Embedding("words", table), *network.layers))


def _report(precision: str, size: int, rows: int) -> ParityReport:
    by_row = RowParity("numpy", 100, tuple(range(1, rows + 1)), 0.1, (0.01,) * rows, 1.0)
    return ParityReport(
        precision,
        1000,
        "test split",
        0.99,
        ParityBudget(0.9999, 1e-3),
        size,
        (EngineParity("tflite-runtime", "2.14.0", True, None, 0.99, 1.0, 1e-6, 1e-7),),
        ("ai-edge-litert",),
        (by_row,) if rows else (),
    )


def _probes(plain: Path, metadata: Metadata) -> Probes:
    """Two windows with the logits that the file itself gives in numpy, so that every engine agrees."""
    rng = np.random.default_rng(0)
    shape, normalization = (2, metadata.steps, metadata.features), metadata.normalization
    windows = rng.uniform(0, 255, shape) if normalization.dtype == "uint8" else rng.normal(20, 5, shape)
    if normalization.tokens:
        windows = rng.integers(0, normalization.tokens, shape)
    windows = windows.astype(normalization.dtype)
    rows = tuple(range(1, metadata.steps + 1)) if metadata.graph == STEP else ()
    with Classifier(plain, engine="numpy") as classifier:
        run = classifier.logits_by_row if rows else classifier.logits
        logits = run(normalization.apply(windows))
    tolerance = 0.25 * float(np.abs(logits).max())
    return Probes(
        ProbeRecord(2, str(windows.dtype), tolerance, "test split", rows=rows), windows, logits
    )


def read_seeds(folder: Path) -> dict[str, bytes]:
    """Name -> bytes of the file that `write_seeds` wrote."""
    return {path.stem: path.read_bytes() for path in sorted(folder.glob("*.tflite"))}
