"""Accuracy of edge-rnn train on MNIST for several seeds, by the real command.

    python -m benchmarks.training_accuracy --data-dir ~/mnist
    python -m benchmarks.training_accuracy --data-dir ~/mnist --preset seed

`default` is what the command does without a preset, `seed` the budget of the notebook from which this
project started. The settings of both were chosen by the 5,000 validation windows. The test split is
measured and chooses nothing.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

from benchmarks.cpu import cpu_name
from edge_runtime.host.child_process import module_command
from edge_runtime.runs.run_directory import Run
from train.hyperparameters import PRESETS


@click.command(help=__doc__)
@click.option("--data-dir", type=click.Path(path_type=Path), help="The folder with MNIST's IDX files.")
@click.option("--preset", type=click.Choice(list(PRESETS)), default="default", show_default=True)
@click.option("--seeds", default="0,1,2", show_default=True, help="Separated by commas.")
def main(data_dir: Path | None, preset: str, seeds: str) -> None:
    print(cpu_name() + "\n", flush=True)
    print("| preset | seed | validation, % | test, % | seconds |")
    print("| --- | --- | --- | --- | --- |", flush=True)
    found = []
    for seed in seeds.split(","):
        options = ["--data", "mnist", "--preset", preset, "--seed", seed, "--quiet"]
        if data_dir is not None:
            options += ["--data-dir", str(data_dir)]
        validation, test, seconds = trained(options)
        found.append(test)
        print(f"| {preset} | {seed} | {validation:.2f} | {test:.2f} | {seconds:.0f} |", flush=True)
    print(f"| {preset} | median | | {statistics.median(found):.2f} | |")


def trained(options: list[str]) -> tuple[float, float, float]:
    """Percent of the validation and the test windows, and the seconds of the command."""
    with tempfile.TemporaryDirectory() as name:
        command = module_command("edge_runtime", "train", *options, "--out", str(Path(name, "run")))
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=sys.stderr)
        seconds = time.perf_counter() - start
        metrics = Run.open(Path(name, "run")).record.metrics
    return 100 * metrics["validation_accuracy"], 100 * metrics["test_accuracy"], seconds


if __name__ == "__main__":
    main()
