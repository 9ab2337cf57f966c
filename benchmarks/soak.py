"""Memory over a million predictions, in every engine.

    python -m benchmarks.soak runs/mnist [--predictions 1000000] [--precision int8] [--plot soak.png]

Prints Markdown. Each row has a process of its own, which calls Classifier.predict for one window after
the other and reads the resident memory after every 10,000. A row is flat if a straight line through the
second half rises by less than a byte per prediction. The numpy engine is a hundred times slower and
predicts a hundredth.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.cpu import cpu_name
from edge_runtime.bench.memory import resident_bytes
from edge_runtime.engines.engine import NUMPY, installed_engines
from edge_runtime.errors import DataError, EdgeRnnError, EngineError
from edge_runtime.host.atomic_file import replacing
from edge_runtime.host.child_process import run_module
from edge_runtime.inference.classifier import Classifier
from edge_runtime.runs.run_directory import Run

EVERY = 10_000
SLOWER = 100
"""The factor by which the numpy engine makes fewer predictions, and by which it is read more often."""
MAX_BYTES_PER_PREDICTION = 1.0
WINDOWS = 1000


@dataclass(frozen=True)
class Soak:
    """The memory of one process."""

    engine: str
    precision: str
    predictions: np.ndarray
    """The number of predictions before each reading, `[readings]`."""
    resident: np.ndarray
    """The memory at each reading, bytes."""
    seconds: float

    @property
    def slope(self) -> float:
        """Bytes per prediction, by least squares over the second half."""
        half = len(self.predictions) // 2
        return float(np.polyfit(self.predictions[half:], self.resident[half:], 1)[0])

    def __bool__(self) -> bool:
        return self.slope < MAX_BYTES_PER_PREDICTION

    def __str__(self) -> str:
        """A row of the table."""
        megabytes, half = self.resident / 1e6, len(self.resident) // 2
        return (
            f"| {self.engine} | {self.precision} | {self.predictions[-1]:,} | {self.seconds:.0f} "
            f"| {megabytes[0]:.2f} | {megabytes[half]:.2f} | {megabytes[-1]:.2f} "
            f"| {megabytes.max():.2f} | {self.slope:+.4f} | {'yes' if self else '**no**'} |"
        )


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
        return
    engines = (*installed_engines(), NUMPY)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--predictions", type=int, default=1_000_000)
    parser.add_argument("--precision", nargs="+", default=["int8", "float32"])
    parser.add_argument("--engine", nargs="+", choices=engines, default=engines)
    parser.add_argument("--plot", help="a PNG of the curves")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        soaks = [
            soak(engine, precision, file, options.run, options.predictions)
            for precision in options.precision
            for file in [converted(options.run, precision, Path(folder))]
            for engine in options.engine
        ]
    print(f"CPU: {cpu_name()}. Memory in MB, of the whole process.\n")
    print("| engine | precision | predictions | s | first | middle | last | most ", end="")
    print("| bytes a prediction | flat |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    print("\n".join(map(str, soaks)))
    if options.plot:
        draw(soaks, options.plot)


def converted(run: str, precision: str, folder: Path) -> Path:
    file = folder / f"{precision}.tflite"
    options = ["--precision", precision, "--out", str(file)]
    ending = run_module("edge_runtime", "convert", run, *options)
    if not ending:
        raise DataError(f"{run}: cannot be converted to {precision}. {ending}")
    return file


def soak(engine: str, precision: str, file: Path, run: str, predictions: int) -> Soak:
    """The readings of one process."""
    slower = SLOWER if engine == NUMPY else 1
    arguments = [str(file), run, engine, str(predictions // slower), str(EVERY // slower)]
    start = time.perf_counter()
    ending = run_module("benchmarks.soak", "--child", *arguments)
    if not ending:
        raise EngineError(f"{engine}: {ending}")
    counts, resident = np.array([json.loads(line) for line in ending.output.splitlines()]).T
    return Soak(engine, precision, counts, resident, time.perf_counter() - start)


def child(file: str, run: str, engine: str, predictions: str, every: str) -> None:
    windows = Run.open(run).test_windows().x[:WINDOWS].copy()
    with Classifier(file, engine=engine) as classifier:
        for count in range(1, int(predictions) + 1):
            classifier.predict(windows[count % len(windows)])
            if count % int(every) == 0:
                print(json.dumps([count, resident_bytes()]), flush=True)


def draw(soaks: list[Soak], path: str) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    for item in soaks:
        share = 100 * item.predictions / item.predictions[-1]
        label = f"{item.engine}, {item.precision}: {item.predictions[-1]:,}"
        axis.plot(share, item.resident / 1e6, label=label)
    axis.set(xlabel="% of the predictions", ylabel="memory, MB", ylim=(0, None), title="Soak")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120, format="png")


if __name__ == "__main__":
    try:
        main()
    except EdgeRnnError as error:
        sys.exit(f"Error: {error}")
