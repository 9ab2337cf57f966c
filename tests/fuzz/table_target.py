"""Tables of recordings as a target: CSV files with a header, a time and a label."""

from __future__ import annotations

import csv
from pathlib import Path
from random import Random

import numpy as np

from tests.fuzz.outcome import Mutation, Outcome, WrongAnswerError
from tests.fuzz.text_mutations import mutated_table
from train.recordings.data_options import FILLS, DataOptions
from train.recordings.read_recordings import read_recordings
from train.recordings.recording import Recordings

PLAIN = "no fill"


class TableTarget:
    """Tables, read with and without `--fill`; without, the numbers are those that Python reads."""

    def __init__(self, folder: Path) -> None:
        """Takes no seeds from `folder`."""

    def mutation(self, rng: Random) -> Mutation:
        return Mutation(mutated_table(rng), ".csv", rng.choice((PLAIN, PLAIN, *FILLS)))

    def check(self, path: Path, mutation: Mutation) -> Outcome:
        fill = None if mutation.kind == PLAIN else mutation.kind
        time = "time" if mutation.data.startswith(b"time") else None
        options = DataOptions(
            label_column="act", time_column=time, feature_columns=("x", "y"), fill=fill
        )
        found = read_recordings(path, options)
        for recording in found.recordings:
            if not np.isfinite(recording.values).all() or not len(recording.values):
                raise WrongAnswerError(f"{recording.name} holds {recording.values}")
            if recording.times is not None and not (np.diff(recording.times) > 0).all():
                raise WrongAnswerError(f"{recording.name} goes back in time: {recording.times}")
        if fill is None:
            _compare(path, found)
        return Outcome.ANSWERED


def _compare(path: Path, found: Recordings) -> None:
    """Compare with the numbers in the lines that the recording names."""
    (recording,) = found.recordings
    lines = path.read_text("utf-8-sig").split("\n")  # and \r, which Python reads as \n
    if any('"' in line for line in lines):
        return  # a line of the file is not a row of the table then
    header = next(line for line in lines if line.strip() and not line.startswith("#"))
    delimiter = next(sign for sign in "\t;," if sign in header)
    names = [name.strip() for name in header.split(delimiter)]
    for number, values in zip(recording.lines, recording.values):
        (row,) = csv.reader([lines[number - 1]], delimiter=delimiter)
        for name, value in zip(("x", "y"), values):
            cell = row[names.index(name)]
            if value != _number(cell, delimiter):
                raise WrongAnswerError(f"line {number}: {value} for {cell!r}")


def _number(cell: str, delimiter: str) -> np.float32:
    if cell.strip() in ("true", "false"):  # where a whole column holds nothing else
        return np.float32(cell.strip() == "true")
    return np.float32(float(cell if delimiter == "," else cell.replace(",", ".")))
