"""The inputs of `edge-rnn predict` as targets: pictures, arrays, text."""

from __future__ import annotations

import gzip
import itertools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np

from edge_runtime.commands.answer_inputs import answer_file, answer_lines
from edge_runtime.commands.predict import standard_input
from edge_runtime.engines.engine import installed_engines
from edge_runtime.errors import InputError
from edge_runtime.inference.answer import Answer
from edge_runtime.inference.classifier import Classifier
from edge_runtime.inputs.lines import longest_line
from edge_runtime.inputs.read_windows import read_windows
from tests.fuzz import array_mutations, image_mutations, text_mutations
from tests.fuzz.outcome import Mutation, Outcome, WrongAnswerError
from tests.fuzz.seeds import FEATURES, PIXELS, STEPS

MOST_ANSWERS = 300
"""The number of windows of a file that are classified."""

FILES: dict[str, tuple[Callable[[Random], bytes], ...]] = {
    ".png": (image_mutations.mutated_png,),
    ".jpg": (image_mutations.mutated_jpeg, image_mutations.mutated_png),
    ".npy": (array_mutations.mutated_npy, array_mutations.mutated_npy, array_mutations.mutated_npz),
    ".npz": (array_mutations.mutated_npz, array_mutations.mutated_npz, array_mutations.mutated_npy),
    ".csv": (text_mutations.mutated_csv,),
    ".idx": (array_mutations.mutated_idx, array_mutations.mutated_idx_gz),
    ".idx.gz": (array_mutations.mutated_idx_gz,),
}
"""Suffix -> the function that makes the content."""


class FileTarget:
    """Files of some suffixes, read and classified."""

    def __init__(self, folder: Path, suffixes: tuple[str, ...], model: str = "float32") -> None:
        self._suffixes = suffixes
        self._classifier = Classifier(folder / f"{model}.tflite", engine=installed_engines()[0])

    def mutation(self, rng: Random) -> Mutation:
        suffix = rng.choice(self._suffixes)
        return Mutation(rng.choice(FILES[suffix])(rng), suffix, "input")

    def check(self, path: Path, mutation: Mutation) -> Outcome:
        windows = read_windows(path, STEPS, FEATURES)
        if array_mutations.TRIPPED:
            raise WrongAnswerError(array_mutations.TRIPPED.pop())
        if windows.shape[1:] != (STEPS, FEATURES) or not len(windows):
            raise WrongAnswerError(f"windows of shape {windows.shape}")
        _compare(path, windows)
        for answer in itertools.islice(answer_file(self._classifier, str(path)), MOST_ANSWERS):
            _check_answer(answer)
        return Outcome.ANSWERED


def _compare(path: Path, windows: np.ndarray) -> None:
    """Compare with the arrays that numpy, or a plain reading of the bytes, gives."""
    expected = None
    if path.name.endswith((".idx", ".gz")):
        data = path.read_bytes()
        data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        expected = np.frombuffer(data, np.uint8, offset=16)
    elif path.suffix in (".npy", ".npz"):
        content = np.load(path, allow_pickle=False)
        expected = content if isinstance(content, np.ndarray) else content[_member(content)]
    if expected is not None:
        np.testing.assert_array_equal(windows, expected.reshape(windows.shape))


def _member(content: np.lib.npyio.NpzFile) -> str:
    names = [name for name in content.zip.namelist() if name.endswith(".npy")]
    return names[0] if len(names) == 1 else "x.npy"


def _check_answer(answer: Answer) -> None:
    record = json.loads(answer.to_json())
    if answer.failed:
        text = record["error"]
        if not text.isprintable() or len(text) > 1000:
            raise WrongAnswerError(f"the message is not one printable line: {text!r}")
    elif not np.isfinite(record["logits"]).all() or record["label"] not in str(answer):
        raise WrongAnswerError(f"answered with {record}")


class LinesTarget:
    """Lines of standard input."""

    def __init__(self, folder: Path) -> None:
        self._classifier = Classifier(folder / "float32.tflite", engine=installed_engines()[0])

    def mutation(self, rng: Random) -> Mutation:
        return Mutation(text_mutations.mutated_lines(rng), ".txt", "input")

    def check(self, path: Path, mutation: Mutation) -> Outcome:
        before, lines, spec = sys.stdin, mutation.data.split(b"\n"), self._classifier.spec
        with path.open(encoding="utf-8") as sys.stdin:
            answers = list(answer_lines(self._classifier, standard_input(spec)))
        sys.stdin = before
        limit = longest_line(spec.steps * spec.features)  # the rest of the line is not read
        if len(answers) != sum(bool(line.strip()) or len(line) > limit for line in lines):
            raise WrongAnswerError(f"{len(answers)} answers for {len(lines)} lines")
        for answer in answers:
            _check_answer(answer)
        if any(answer.failed for answer in answers):
            raise InputError("a line was refused")
        return Outcome.ANSWERED


def pictures(folder: Path) -> FileTarget:
    return FileTarget(folder, (".png", ".jpg"), PIXELS)


def arrays(folder: Path) -> FileTarget:
    return FileTarget(folder, (".npy", ".npz"))


def idx_files(folder: Path) -> FileTarget:
    return FileTarget(folder, (".idx", ".idx.gz"), PIXELS)


def csv_files(folder: Path) -> FileTarget:
    return FileTarget(folder, (".csv",))
