"""Measures which copies the comparison of rows finds, and how long it takes (docs/guides/splits.md).

    python -m benchmarks.shared_rows

Runs in numpy only. Prints Markdown: false alarms in recordings that nobody copied, the shortest copies
that are found, and the time for ten million rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.cpu import cpu_name
from tests.support.signals import DIFFERENT, ROWS, sine, smooth, steps_of
from train.splitting.overlap import SharedRows, row_hashes, shared_rows

RECORDINGS = 40
TRIES = 10

SOURCES: dict[str, Callable[[np.random.Generator], Any]] = {
    "three features, 24 bits": lambda rng: steps_of(smooth(rng, ROWS, 3), 1e-6),
    "three features, about 12 different values": lambda rng: steps_of(smooth(rng, ROWS, 3), 1),
    "three features, about 4 different values": lambda rng: steps_of(smooth(rng, ROWS, 3), 4),
    "one feature, about 12 different values": lambda rng: steps_of(smooth(rng, ROWS, 1), 1),
    "one feature, about 4 different values": lambda rng: steps_of(smooth(rng, ROWS, 1), 4),
}

HARDEST: dict[str, Callable[[np.random.Generator], Any]] = {
    "sine of 10 steps without noise, periods within 2 %": lambda rng: sine(rng, 47 + rng.normal(), 0),
    "the same with noise of 0.1 steps": lambda rng: sine(rng, 47 + rng.normal(), 0.1),
    "the same with noise of 0.3 steps": lambda rng: sine(rng, 47 + rng.normal(), 0.3),
}


def compare(recordings: list[Any]) -> SharedRows:
    lengths = np.array([len(values) for values in recordings])
    hashes = np.concatenate([row_hashes(values) for values in recordings])
    return shared_rows(hashes, lengths, np.arange(len(recordings)) % 2)


def false_alarms(make: Callable[[np.random.Generator], Any]) -> int:
    """Data sets of TRIES in which a row is thought to be copied."""
    alarms = 0
    for seed in range(TRIES):
        rng = np.random.default_rng(seed)
        alarms += len(compare([make(rng) for _ in range(RECORDINGS)]).pairs) > 0
    return alarms


def shortest_copy(make: Callable[[np.random.Generator], Any]) -> int:
    """The fewest rows of which TRIES of TRIES copies are found."""
    for rows in (8, 12, 14, 16, 20, 24, 32, 40, 48, 64, 96, 128):
        found = 0
        for seed in range(TRIES):
            recordings = [make(np.random.default_rng([seed, k])) for k in range(RECORDINGS)]
            recordings[7][200 : 200 + rows] = recordings[2][900 : 900 + rows]
            found += len(compare(recordings).pairs) > 0
        if found == TRIES:
            return rows
    return -1


def seconds(rows: int = 100_000, recordings: int = 100, features: int = 9) -> float:
    rng = np.random.default_rng(0)
    made = [rng.normal(size=(rows, features)).astype(np.float32) for _ in range(recordings)]
    start = time.process_time()
    compare(made)
    return time.process_time() - start


def main() -> None:
    print(f"{RECORDINGS} recordings of {ROWS:,} rows, {TRIES} data sets of each kind.\n")
    print("| no row is copied | data sets with a false alarm |\n| --- | --- |")
    for name, make in (*DIFFERENT.items(), *HARDEST.items()):
        print(f"| {name} | {false_alarms(make)} |")
    print("\n| a stretch is copied | shortest that is always found |\n| --- | --- |")
    for name, make in SOURCES.items():
        print(f"| {name} | {shortest_copy(make)} rows |")
    print(f"\nTen million rows of nine features: {seconds():.0f} s of one core ({cpu_name()}).")


if __name__ == "__main__":
    main()
