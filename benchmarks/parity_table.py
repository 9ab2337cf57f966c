"""Parity of every precision in every engine of every target, and where the bytes of each file go.

    python -m benchmarks.parity_table runs/mnist [--prove]

Prints two tables in Markdown. The engines are those that are installed and those in isolated
environments (convert.proof.environments). --prove makes the environments that are missing, which needs
the network. A file that several targets share, byte for byte, runs once in each engine.

Parity is measured on the run's test windows against the Keras model. The sizes are those of the file as
`edge-rnn convert` writes it, with labels, record and probes, and with --strip.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.cpu import cpu_name
from convert.compiler.compile import compile_network
from convert.inspection.inspect_model import (
    ARCHIVE,
    BUFFERS,
    MATRICES,
    NAMES,
    OPERATORS,
    OTHER_BUFFERS,
    QUANTIZATION,
    STRUCTURE,
    TABLES,
    VECTORS,
    inspect_model,
)
from convert.inspection.report import UNUSED
from convert.model_file.archive import embed
from convert.options import ConversionOptions
from convert.pipeline import convert_source
from convert.proof.engines import ProofEngines, find_proof_engines, make_missing
from convert.proof.parity import prove
from convert.readers.run_directory import open_run
from convert.source_model.source_model import SourceModel
from convert.targets.precision import PRECISIONS, offered
from convert.targets.target import TARGETS, Target
from edge_runtime.errors import EdgeRnnError
from edge_runtime.model_file.metadata import LABELS_NAME, PROBES_NAME, RECORD_NAME
from edge_runtime.model_file.parity_figures import EngineParity
from edge_runtime.model_file.probes import read_probes
from edge_runtime.model_file.read_file import read_model_file

GROUPS = {
    "matrices": (MATRICES,),
    "biases, constants": (VECTORS, OTHER_BUFFERS),
    "tensors, names": (TABLES, BUFFERS, NAMES),
    "scales": (QUANTIZATION,),
    "operators": (OPERATORS,),
    "labels and record": (LABELS_NAME, RECORD_NAME, ARCHIVE),
    "probes": (PROBES_NAME,),
    "rest": (STRUCTURE, UNUSED),
}
"""Column of the size table -> parts of convert.inspection.inspect_model."""


@dataclass
class File:
    """A FlatBuffer, the targets it is for, and its figures in each engine."""

    precision: str
    path: Path
    written: bool
    targets: list[str] = field(default_factory=list)
    engines: dict[tuple[str, str], EngineParity] = field(default_factory=dict)
    """Distribution and version -> figures."""
    not_proven: set[str] = field(default_factory=set)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--prove", action="store_true")
    options = parser.parse_args()
    if options.prove:
        for target in TARGETS.values():
            make_missing(target, tell)
    source = open_run(options.run)
    with tempfile.TemporaryDirectory() as folder:
        files = list(all_files(source, Path(folder)).values())
        print(f"CPU: {cpu_name()}. {len(source.held_out):,} windows of the {source.split}.\n")
        parity_table(files, len(source.held_out))
        size_table(source, [file for file in files if file.written])


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def all_files(source: SourceModel, folder: Path) -> dict[str, File]:
    """SHA-256 of the FlatBuffer -> File, proven in every installed engine of its targets."""
    files: dict[str, File] = {}
    for target in TARGETS.values():
        for precision in offered(target):
            tell(f"{precision} for {target.name}")
            flatbuffer = compiled(source, precision, target)
            digest = hashlib.sha256(flatbuffer).hexdigest()
            if digest not in files:
                files[digest] = converted(source, precision, target, folder)
            files[digest].targets.append(target.name)
            prove_elsewhere(files[digest], source, target)
    return files


def compiled(source: SourceModel, precision: str, target: Target, *, strip: bool = False) -> bytes:
    return compile_network(
        source.network, source.calibration, precision=precision, target=target, strip=strip
    )


def converted(source: SourceModel, precision: str, target: Target, folder: Path) -> File:
    """The file as `edge-rnn convert` writes it, with its proof in the engines of `target`."""
    path = folder / f"{precision}-{target.name}.tflite"
    result = convert_source(source, path, precision=precision, options=ConversionOptions(target=target))
    required = {(item.engine, item.version): item for item in result.report.engines if item.required}
    return File(precision, path, bool(result), engines=required)


def prove_elsewhere(file: File, source: SourceModel, target: Target) -> None:
    """Run the file in the engines of `target` that have not run it yet."""
    found = find_proof_engines(target)
    file.not_proven.update(engine.name for engine in found.missing)
    for engine in found.available if file.written else ():
        key = (engine.distribution, engine.version)
        if engine.required and key not in file.engines:
            budget = PRECISIONS[file.precision].budget
            report = prove(file.path, source, budget=budget, engines=ProofEngines((engine,), ()))
            file.engines[key] = report.engines[0]


def parity_table(files: list[File], windows: int) -> None:
    """One row for all versions of an engine that give the same figures."""
    head = ["precision", "targets that get this file", "engine", "agreement", "accuracy"]
    head += ["mean logit difference", "largest", "default budget"]
    print(f"| {' | '.join(head)} |\n|{' --- |' * len(head)}")
    for file in files:
        budget = PRECISIONS[file.precision].budget
        rows: dict[tuple[str, str], list[str]] = {}
        for engine in file.engines.values():
            within = f"{engine.verdict(budget, windows)} ({100 * budget.min_agreement:g} %)"
            key = (engine.engine, f"{figures(engine)} | {within}")
            rows.setdefault(key, []).append(engine.version)
        for (name, cells), versions in rows.items():
            engines = f"{name} {', '.join(sorted(versions))}"
            print(f"| {file.precision} | {', '.join(file.targets)} | {engines} | {cells} |")
    missing = sorted({name for file in files for name in file.not_proven})
    print(f"\nNot proven on: {', '.join(missing) or 'none, every engine of every target ran'}.")


def figures(engine: EngineParity) -> str:
    """Four cells."""
    if engine.failure is not None:
        return f"{engine.failure} | | |"
    return (
        f"{100 * engine.agreement:.2f} % | {100 * engine.accuracy:.2f} % "
        f"| {engine.mean_logit_difference:.5f} | {engine.max_logit_difference:.5f}"
    )


def size_table(source: SourceModel, files: list[File]) -> None:
    print(f"\n| precision | target | file | --strip | {' | '.join(GROUPS)} |")
    print("| --- " * (4 + len(GROUPS)) + "|")
    for file in files:
        found = inspect_model(file.path)
        left = dict(found.bytes_by_part)
        sizes = [sum(left.pop(part, 0) for part in parts) for parts in GROUPS.values()]
        assert not left, f"parts in no column: {left}"
        print(
            f"| {file.precision} | {file.targets[0]} | {found.file_bytes:,} "
            f"| {stripped_bytes(source, file):,} | {' | '.join(f'{size:,}' for size in sizes)} |"
        )


def stripped_bytes(source: SourceModel, file: File) -> int:
    """The file of `edge-rnn convert --strip`: the same record and probes behind the smaller FlatBuffer.

    The engines compute the same with it, so the proof is not run again.
    """
    content = read_model_file(file.path)
    metadata = content.metadata
    flatbuffer = compiled(source, file.precision, TARGETS[file.targets[0]], strip=True)
    size = len(flatbuffer)
    stripped = replace(
        metadata,
        flatbuffer_bytes=size,
        flatbuffer_sha256=hashlib.sha256(flatbuffer).hexdigest(),
    ).with_parity(replace(metadata.parity, flatbuffer_bytes=size))
    return len(embed(flatbuffer, stripped, read_probes(content, str(file.path))))


if __name__ == "__main__":
    try:
        main()
    except EdgeRnnError as error:
        sys.exit(f"Error: {error}")
