"""Shows how much too good a random split of overlapping windows makes an accuracy look.

    python examples/human_activity/generate.py          # once: makes the recordings
    python examples/human_activity/compare_splits.py    # writes human-activity/splits.png

The same windows are divided in two ways, each time into four folds, of which one tests and three train:

    random      at random. A test window shares half of its rows with windows that train, and every
                subject is in all folds
    by subject  two subjects test, whom the model has never seen

The network, its budget and the number of windows are the same. `edge-rnn train` splits recordings by
subject as soon as --group-column names them. Here the windows are in an .npz with a test split of its
own, which `train` takes as it is, so that the random split can be shown at all.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas
from generate import ACTIVITIES, CHANNELS
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from train import load_dataset, preset, train_run

WINDOW, HOP = 128, 64  # rows: 2.56 and 1.28 seconds
FOLDS = 4


def windows(folder: Path) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.str_]]:
    """x float32 `[N, WINDOW, 9]`, class indices y `[N]` and subjects `[N]` of all recordings."""
    found = []
    for path in sorted(folder.glob("*.csv")):
        table = pandas.read_csv(path)
        values = table[list(CHANNELS)].to_numpy(np.float32)
        label = list(ACTIVITIES).index(table["activity"][0])
        for start in range(0, len(values) - WINDOW + 1, HOP):
            found.append((values[start : start + WINDOW], label, table["subject"][0]))
    x, y, subjects = zip(*found)
    return np.stack(x), np.array(y), np.array(subjects)


def accuracies(
    out: Path,
    x: NDArray[np.float32],
    y: NDArray[np.int64],
    folds: Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]],
    iterations: int,
) -> list[float]:
    """The test accuracy in percent of a training on each fold."""
    found = []
    for number, (train, test) in enumerate(folds, start=1):
        data = out.with_name(f"{out.name}-{number}.npz")
        np.savez(data, x=x[train], y=y[train], test_x=x[test], test_y=y[test], labels=[*ACTIVITIES])
        settings = preset("sensor", iterations=iterations)
        with redirect_stdout(StringIO()):  # the reports of each training
            record = train_run(load_dataset(str(data)), data.with_suffix(""), settings, overwrite=True)
        found.append(100 * record.metrics["test_accuracy"])
        print(f"{out.name}, fold {number}: {found[-1]:.1f} % of {len(test)} windows", flush=True)
    return found


def plot(path: Path, results: dict[str, list[float]]) -> None:
    """A dot for each fold and a line for the mean, one row for each way to split."""
    figure, axes = plt.subplots(figsize=(7, 2.4), layout="constrained")
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
    plt.close(figure)


def main() -> None:
    """Train on every fold of both kinds, print the accuracies and draw them."""
    parser = argparse.ArgumentParser(
        description="Compare a random split of windows with one by subject.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=Path("human-activity"), help="generate.py's folder")
    parser.add_argument("--iterations", type=int, default=400, help="optimizer steps for each training")
    parser.add_argument("--plot", type=Path, help="the picture; default: splits.png in the folder")
    options = parser.parse_args()
    folder = options.out / "recordings"
    if not folder.is_dir():
        parser.error(f"{folder}: no such folder. Run generate.py first.")
    x, y, subjects = windows(folder)
    print(f"{len(x):,} windows of {WINDOW} rows, a new one every {HOP} rows")
    kinds = {
        "random": StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(x, y),
        "by subject": StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0).split(x, y, subjects),
    }
    runs = options.out / "folds"
    runs.mkdir(exist_ok=True)
    results = {
        name: accuracies(runs / name.replace(" ", "-"), x, y, folds, options.iterations)
        for name, folds in kinds.items()
    }
    for name, values in results.items():
        print(f"{name}: {np.mean(values):.1f} % on average, {min(values):.1f} to {max(values):.1f} %")
    picture = options.plot or options.out / "splits.png"
    plot(picture, results)
    print(f"{picture}: written")


if __name__ == "__main__":
    main()
