"""Trains on real MNIST, converts in every precision and proves each file, for the documents.

    python -m benchmarks.road --data-dir ~/mnist

Prints Markdown: the accuracy of both presets, and the parity and conversion time of every precision for
target any in the installed engines. Takes about five minutes on two cores.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.cpu import cpu_name
from convert.compiler.compile import compile_network
from convert.pipeline import Conversion, convert_source, output_files
from convert.readers.run_directory import open_run
from convert.source_model.source_model import SourceModel
from edge_runtime.errors import EdgeRnnError
from edge_runtime.model_file.parity_figures import EngineParity
from train.datasets.load import load_dataset
from train.fitting.fit import train_run
from train.hyperparameters import PRESETS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", help="where MNIST's files are")
    parser.add_argument("--out", help="folder for the runs; default: a temporary one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.out or temporary)
        print(f"CPU: {cpu_name()}\n")
        training(folder, options.data_dir)
        conversion(folder / "default")


def training(folder: Path, data_dir: str | None) -> None:
    dataset = load_dataset("mnist", data_dir)
    print("| preset | optimizer steps x windows | test accuracy | seconds |")
    print("| --- | --- | --- | --- |")
    for name in ("default", "seed"):
        start = time.perf_counter()
        with contextlib.redirect_stdout(sys.stderr):
            record = train_run(dataset, folder / name, PRESETS[name], quiet=True, overwrite=True)
        seconds = time.perf_counter() - start
        settings = record.hyperparameters
        print(
            f"| {name} | {settings['iterations']} x {settings['batch_size']} "
            f"| {100 * record.metrics['test_accuracy']:.2f} % | {seconds:.0f} |"
        )


def conversion(run: Path) -> None:
    source = open_run(run)
    print(
        "\n| precision | engine | file bytes | accuracy | agreement | largest logit difference "
        "| mean | conversion, ms |\n| --- | --- | --- | --- | --- | --- | --- | --- |"
    )
    for name, out in output_files(run, "all").items():
        result = convert_source(source, out, precision=name)
        milliseconds = 1e3 * compile_seconds(source, name)
        for engine in result.report.engines:
            print(engine_row(result, engine, milliseconds), flush=True)
    report = result.report
    print(
        f"\n{report.windows:,} windows of the test split; full model {100 * report.full_accuracy:.2f} %."
    )


def engine_row(result: Conversion, engine: EngineParity, milliseconds: float) -> str:
    size = "not written" if result.file_bytes is None else f"{result.file_bytes:,}"
    start = f"| {result.report.precision} | {engine.engine} {engine.version} | {size} "
    if engine.failure is not None:
        return f"{start}| {engine.failure} | | | | {milliseconds:.0f} |"
    return (
        f"{start}| {100 * engine.accuracy:.2f} % | {100 * engine.agreement:.2f} % "
        f"| {engine.max_logit_difference:.5f} | {engine.mean_logit_difference:.5f} "
        f"| {milliseconds:.0f} |"
    )


def compile_seconds(source: SourceModel, precision: str, repetitions: int = 3) -> float:
    times = []
    for _ in range(repetitions):
        start = time.perf_counter()
        compile_network(source.network, source.calibration, precision=precision)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


if __name__ == "__main__":
    try:
        main()
    except EdgeRnnError as error:
        sys.exit(f"Error: {error}")
