"""Shows how much too good a random split of overlapping windows makes an accuracy look.

    python examples/human_activity/generate.py          # once: makes the recordings
    python examples/human_activity/compare_splits.py    # writes human-activity/splits.png

The same windows are divided in two ways, each time into folds, of which one tests and the others train:

    random      at random. A test window shares half of its rows with windows that train, and every
                subject is in all folds
    by subject  some subjects test, whom the model has never seen

The network, its budget and the number of windows are the same. `edge-rnn train` refuses a random split
of windows that share rows, and splits recordings by subject where --group-column names them. So the
splits are made here, and given to `train_run` as they are.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pandas
from generate import ACTIVITIES, CHANNELS
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from edge_runtime.runs.labelled_windows import LabelledWindows
from train import Dataset, preset, train_run

WINDOW, HOP = 128, 64  # rows: 2.56 and 1.28 seconds


def cut(folder: Path) -> LabelledWindows:
    """x float32 `[N, WINDOW, 9]`, class indices y `[N]` and subjects `[N]` of all recordings."""
    found = []
    for path in sorted(folder.glob("*.csv")):
        table = pandas.read_csv(path)
        values = table[list(CHANNELS)].to_numpy(np.float32)
        label = list(ACTIVITIES).index(table["activity"][0])
        for start in range(0, len(values) - WINDOW + 1, HOP):
            found.append((values[start : start + WINDOW], label, table["subject"][0]))
    x, y, subjects = zip(*found)
    return LabelledWindows(np.stack(x), np.array(y), np.array(subjects))


def accuracies(
    out: Path,
    windows: LabelledWindows,
    folds: Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]],
    iterations: int,
) -> list[float]:
    """The test accuracy in percent of a training on each fold."""
    found = []
    for number, (train, test) in enumerate(folds, start=1):
        name = f"{out.name}-{number}"
        data = Dataset(name, windows.take(train), windows.take(test), tuple(ACTIVITIES), image=False)
        with redirect_stdout(StringIO()):  # the reports of each training
            settings = preset("sensor", iterations=iterations)
            record = train_run(data, out.with_name(name), settings, overwrite=True)
        found.append(100 * record.metrics["test_accuracy"])
        print(f"{out.name}, fold {number}: {found[-1]:.1f} % of {len(test)} windows", flush=True)
    return found


def plot(path: Path, results: dict[str, list[float]]) -> None:
    """A dot for each fold and a line for the mean, one row for each way to split."""
    figure = Figure(figsize=(7, 2.4), layout="constrained")
    axes = figure.subplots()
    for row, values in enumerate(results.values()):
        mean, color = float(np.mean(values)), f"C{row}"
        axes.plot(values, [row] * len(values), "o", color=color, alpha=0.6, markersize=8, clip_on=False)
        axes.plot([mean, mean], [row - 0.25, row + 0.25], color=color, linewidth=2.5)
        axes.annotate(f"mean {mean:.1f} %", (mean, row - 0.32), ha="center", va="bottom", color=color)
    axes.set_yticks(range(len(results)), list(results))
    axes.set_ylim(len(results) - 0.5, -0.7)
    axes.set_xlim(min(map(min, results.values())) - 3, 100)
    axes.set_xlabel("test accuracy in percent; a dot is a fold")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", alpha=0.3)
    figure.savefig(path, dpi=150)


def main() -> None:
    """Train on every fold of both kinds, print the accuracies and draw them."""
    parser = argparse.ArgumentParser(
        description="Compare a random split of windows with one by subject.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=Path("human-activity"), help="generate.py's folder")
    parser.add_argument("--iterations", type=int, default=300, help="optimizer steps for each training")
    parser.add_argument("--folds", type=int, default=4, help="how many")
    parser.add_argument("--plot", type=Path, help="the picture; default: splits.png in the folder")
    options = parser.parse_args()
    folder = options.out / "recordings"
    if not folder.is_dir():
        parser.error(f"{folder}: no such folder. Run generate.py first.")
    logging.getLogger("tensorflow").setLevel("ERROR")  # it warns that several models are trained
    windows = cut(folder)
    print(f"{len(windows):,} windows of {WINDOW} rows, a new one every {HOP} rows")
    shuffled = {"n_splits": options.folds, "shuffle": True, "random_state": 0}
    by_class, by_subject = StratifiedKFold(**shuffled), StratifiedGroupKFold(**shuffled)
    kinds = {
        "random": by_class.split(windows.x, windows.y),
        "by subject": by_subject.split(windows.x, windows.y, windows.groups),
    }
    runs = options.out / "folds"
    results = {
        name: accuracies(runs / name.replace(" ", "-"), windows, folds, options.iterations)
        for name, folds in kinds.items()
    }
    for name, values in results.items():
        print(f"{name}: {np.mean(values):.1f} % on average, {min(values):.1f} to {max(values):.1f} %")
    picture = options.plot or options.out / "splits.png"
    plot(picture, results)
    print(f"{picture}: written")


if __name__ == "__main__":
    main()
