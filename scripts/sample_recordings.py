"""Writes a small data set of recordings in every format that `edge-rnn data` and `train` read.

    python -m scripts.sample_recordings samples

Four people sit, walk and run with an accelerometer of 50 rows per second; the signals are computed. The
guide docs/guides/data.md uses these files.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PEOPLE = ("anna", "ben", "carla", "david")
STRIDES = {"running": 2.8, "sitting": 0.0, "walking": 1.8}
"""Steps in a second."""
FEATURES = ("ax", "ay", "az")
RATE = 50
ROWS = 200
WINDOW = 50
TESTED = "david"
"""Who is in the test folders."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One recording: a person doing one thing."""

    person: str
    activity: str
    values: NDArray[np.float64]
    """`[ROWS, 3]` in g, rounded to 1/1000."""

    @property
    def split(self) -> str:
        """The folder for its files."""
        return "test" if self.person == TESTED else "train"


def samples() -> Iterator[Sample]:
    """The same twelve recordings each time."""
    rng = np.random.default_rng(0)
    time = np.arange(ROWS)[:, np.newaxis] / RATE
    for number, person in enumerate(PEOPLE):
        for activity, strides in STRIDES.items():
            size = strides / 4 * (1 + number / 10)
            phase = rng.uniform(0, 2 * np.pi) + np.array([0, np.pi / 2, np.pi / 4])
            wave = size * np.sin(2 * np.pi * strides * (1 + number / 50) * time + phase)
            values = wave + np.array([0, 0, 1]) + rng.normal(0, 0.03, (ROWS, 3))
            yield Sample(person, activity, values.round(3))


def rows(sample: Sample) -> list[list[str]]:
    """The cells of a table: person, recording, time in seconds, activity, values."""
    start = [sample.person, f"{sample.person}-{sample.activity}"]
    return [
        [*start, f"{row / RATE:.2f}", sample.activity, *(f"{value:g}" for value in values)]
        for row, values in enumerate(sample.values)
    ]


def write_samples(folder: Path) -> None:
    """All formats, each below `folder`."""
    found = list(samples())
    write_tables(folder, found)
    write_folders(folder, found)
    write_edge_impulse(folder / "exported", found)
    write_ts(folder / "ts", found)
    write_windows(folder / "windows.npz", found)


def write_tables(folder: Path, found: list[Sample]) -> None:
    """One table as CSV and as Parquet, and walks-broken.csv with a gap and missing values."""
    import pandas

    table = [row for sample in found for row in rows(sample)]
    _write_csv(folder / "walks.csv", table)
    names = ["person", "recording", "seconds", "activity", *FEATURES]
    frame = pandas.DataFrame(table, columns=names)
    numbers = ["seconds", *FEATURES]
    frame[numbers] = frame[numbers].astype(float)
    frame.to_parquet(folder / "walks.parquet", index=False)
    for row in table[ROWS // 2 : ROWS]:
        row[2] = f"{float(row[2]) + 0.4:.2f}"
    for row in table[ROWS + 10 : ROWS + 13]:
        row[4] = ""
    _write_csv(folder / "walks-broken.csv", table)


def write_folders(folder: Path, found: list[Sample]) -> None:
    """A folder for each class, and the same below train/ and test/."""
    for sample in found:
        text = "\n".join([",".join(FEATURES), *(",".join(row[4:]) for row in rows(sample))])
        for place in (Path("classes"), Path("split") / sample.split):
            path = folder / place / sample.activity / f"{sample.person}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n")


def write_edge_impulse(folder: Path, found: list[Sample]) -> None:
    """As Edge Impulse exports a data set: JSON files in training/ and testing/, and info.labels."""
    files = []
    for number, sample in enumerate(found):
        category = "testing" if sample.split == "test" else "training"
        path = Path(category) / f"{sample.activity}.{number:02d}.json"
        payload = {
            "device_name": f"watch-{sample.person}",
            "device_type": "WATCH",
            "interval_ms": 1000 / RATE,
            "sensors": [{"name": name, "units": "g"} for name in FEATURES],
            "values": sample.values.tolist(),
        }
        protected = {"ver": "v1", "alg": "none"}
        document = {"protected": protected, "signature": "0" * 64, "payload": payload}
        (folder / category).mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(json.dumps(document))
        label = {"type": "label", "label": sample.activity}
        metadata = {"person": sample.person}
        files.append(
            {"path": path.as_posix(), "category": category, "label": label, "metadata": metadata}
        )
    (folder / "info.labels").write_text(json.dumps({"version": 1, "files": files}, indent=2))


def write_ts(folder: Path, found: list[Sample]) -> None:
    """As in the UEA archive: Walks_TRAIN.ts and Walks_TEST.ts."""
    folder.mkdir(parents=True, exist_ok=True)
    header = [
        *("@problemName Walks", "@timeStamps false", "@missing false", "@univariate false"),
        *("@dimensions 3", "@equalLength true", f"@seriesLength {ROWS}"),
        *(f"@classLabel true {' '.join(STRIDES)}", "@data"),
    ]
    for split in ("train", "test"):
        lines = [
            ":".join(
                [*(",".join(f"{v:g}" for v in column) for column in sample.values.T), sample.activity]
            )
            for sample in found
            if sample.split == split
        ]
        (folder / f"Walks_{split.upper()}.ts").write_text("\n".join([*header, *lines]) + "\n")


def write_windows(path: Path, found: list[Sample]) -> None:
    """Windows that are cut already, with the person of each as its group."""
    count = ROWS // WINDOW
    labels = list(STRIDES)
    x = np.concatenate([sample.values.reshape(count, WINDOW, 3) for sample in found])
    y = np.repeat([labels.index(sample.activity) for sample in found], count)
    groups = np.repeat([sample.person for sample in found], count)
    np.savez_compressed(path, x=x.astype(np.float32), y=y, labels=labels, groups=groups)


def _write_csv(path: Path, table: list[list[str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    names = ["person", "recording", "seconds", "activity", *FEATURES]
    path.write_text("\n".join(",".join(row) for row in [names, *table]) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Usage: python -m scripts.sample_recordings FOLDER")
    write_samples(Path(sys.argv[1]))
