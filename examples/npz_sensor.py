"""Sensor windows in an .npz file: train, convert and predict with three commands.

    python examples/npz_sensor.py

The example writes the windows of a made-up accelerometer to activity.npz, trains a small LSTM on them,
converts it to int8 and classifies three windows that neither training nor conversion has seen. It
prints the commands and their output, the proof of the conversion among it, and takes about 20 seconds.
Everything is written to the folder npz-sensor in the working directory, or to the one that --out names.

With windows of your own, only `write_windows` changes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from accelerometer import LABELS, STEPS, record, windows
from command import edge_rnn


def write_windows(path: Path) -> None:
    """Write 5,000 windows: x float32 [N, steps, features], y class indices [N], and the labels."""
    x, y = windows(5000, seed=0)
    np.savez_compressed(path, x=x, y=y, labels=LABELS)
    print(f"{path}: {len(x):,} windows of {x.shape[1]} steps with {x.shape[2]} features")


def main() -> None:
    """Train, convert and predict in one folder."""
    parser = argparse.ArgumentParser(description="Train on sensor windows, convert, predict.")
    parser.add_argument("--out", type=Path, default=Path("npz-sensor"), help="folder to write")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)

    data, run, model = out / "activity.npz", out / "run", out / "activity-int8.tflite"
    write_windows(data)
    small = ("--units", 32, "--iterations", 400, "--quiet", "--overwrite")
    edge_rnn("train", "--data", data, "--out", run, *small)
    edge_rnn("convert", run, "--precision", "int8", "--out", model)

    # On the device: raw windows in g, since the normalization is in the file.
    rng = np.random.default_rng(1)
    new = {name: record(name, STEPS, rng) for name in ("walking", "still", "running")}
    np.save(out / "new.npy", np.stack(list(new.values())))
    print(f"\n{out / 'new.npy'}: one window each of {', '.join(new)}")
    edge_rnn("predict", model, out / "new.npy", "--top", 2)


if __name__ == "__main__":
    main()
