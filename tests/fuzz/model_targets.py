"""The model file's readers as targets: loader with an engine, numpy engine, inspect, verify."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from random import Random

import numpy as np

from convert.inspection.inspect_model import inspect_model
from edge_runtime.errors import ModelError
from edge_runtime.inference.classifier import Classifier
from edge_runtime.model_file.normalization import Normalization
from edge_runtime.model_file.probes import read_probes
from edge_runtime.model_file.read_file import ModelFile, read_model_file
from tests.fuzz.archive_mutations import Parts, mutated_archive
from tests.fuzz.bytes_mutations import mutated, splice
from tests.fuzz.flatbuffer_mutations import mutated_flatbuffer
from tests.fuzz.outcome import Mutation, Outcome, WrongAnswerError
from tests.fuzz.seeds import PLAIN_SUFFIX, REAL, read_seeds

BYTES, ARCHIVE, SPLICE, FLATBUFFER = "bytes", "archive", "splice", "flatbuffer"


class Seeds:
    """The valid files, as bytes and as parts."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data = folder, read_seeds(folder)
        self.parts = {name: Parts.of(data) for name, data in self.data.items()}
        self.files = {name: read_model_file(folder / f"{name}.tflite") for name in self.data}
        self.names = sorted(set(self.data) - {REAL})

    def choose(self, rng: Random, real: float = 0.0) -> str:
        """The name of a file, which is the large one with this probability."""
        return REAL if rng.random() < real else rng.choice(self.names)


class LoaderTarget:
    """Classifier on a TFLite engine, without trust."""

    def __init__(self, folder: Path, engine: str) -> None:
        self._seeds, self._engine = Seeds(folder), engine
        self._plain = {
            name: Classifier(folder / f"{name}{PLAIN_SUFFIX}", engine=engine)
            for name in self._seeds.data
        }
        self._by_flatbuffer = {file.flatbuffer: name for name, file in self._seeds.files.items()}

    def mutation(self, rng: Random) -> Mutation:
        seeds, kind = self._seeds, rng.choice((BYTES, BYTES, ARCHIVE, ARCHIVE, FLATBUFFER, SPLICE))
        name = seeds.choose(rng, real=0.03)
        data, parts = seeds.data[name], seeds.parts[name]
        if kind == BYTES:
            start = rng.choice((0, len(parts.flatbuffer)))  # half of them in the archive
            data = data[:start] + mutated(rng, data[start:])
        elif kind == ARCHIVE:
            data = mutated_archive(rng, parts)
        elif kind == SPLICE:
            data = splice(rng, data, seeds.data[seeds.choose(rng)])
        else:
            data = Parts(mutated_flatbuffer(rng, parts.flatbuffer), parts.entries).file()
        return Mutation(data, ".tflite", kind, name)

    def check(self, path: Path, mutation: Mutation) -> Outcome:
        with Classifier(path, engine=self._engine) as classifier:
            file = read_model_file(path)
            name = self._by_flatbuffer.get(file.flatbuffer)
            if name is None:
                raise WrongAnswerError("a changed FlatBuffer was let through")
            if mutation.kind != ARCHIVE:
                self._compare(file, name)
            window = window_of(file, mutation)
            logits, label = classifier.logits(window), classifier.predict(window).label
        expected = self._expected(name, file.metadata.normalization, window)
        np.testing.assert_array_equal(logits, expected)
        if label != file.metadata.labels[int(expected.argmax())]:
            raise WrongAnswerError(f"{label} is not the class of {expected}")
        return Outcome.ANSWERED

    def _compare(self, file: ModelFile, name: str) -> None:
        """The checksums were not updated, so a file that is accepted must have its old content."""
        sound = self._seeds.files[name]
        if _facts(file) != _facts(sound):
            raise WrongAnswerError(f"the record is not that of {name}")
        if file.probes != sound.probes:
            with contextlib.suppress(ModelError):
                read_probes(file, name)
                raise WrongAnswerError(f"the probes are not those of {name}")

    def _expected(self, name: str, normalization: Normalization, window: np.ndarray) -> np.ndarray:
        return self._plain[name].logits(normalization.apply(window))


def _facts(file: ModelFile) -> str:
    return json.dumps(file.metadata.to_json()) + repr(file.metadata.labels)


def window_of(file: ModelFile, mutation: Mutation) -> np.ndarray:
    """A window of bytes for one half of the mutations and of float32 for the other."""
    shape = (file.metadata.steps, file.metadata.features)
    window = (np.arange(shape[0] * shape[1], dtype=np.uint8) % 251).reshape(shape)
    return window if len(mutation.data) % 2 else window.astype(np.float32)


class NumpyTarget:
    """The numpy engine on FlatBuffers whose digest was not checked."""

    def __init__(self, folder: Path) -> None:
        self._seeds = Seeds(folder)

    def mutation(self, rng: Random) -> Mutation:
        name = self._seeds.choose(rng)
        parts = self._seeds.parts[name]
        flatbuffer = mutated_flatbuffer(rng, parts.flatbuffer)
        changed = (
            parts.with_flatbuffer(flatbuffer) if rng.random() < 0.5 else Parts(flatbuffer, parts.entries)
        )
        return Mutation(changed.file(), ".tflite", FLATBUFFER, name)

    def check(self, path: Path, mutation: Mutation) -> Outcome:
        with Classifier(path, engine="numpy", trust=True) as classifier:
            file = read_model_file(path, trust=True)
            logits = classifier.logits(window_of(file, mutation))
        if logits.shape != (1, len(file.metadata.labels)) or not np.isfinite(logits).all():
            raise WrongAnswerError(f"logits {logits}")
        return Outcome.ANSWERED


class InspectTarget:
    """`edge-rnn inspect` of anything."""

    def __init__(self, folder: Path) -> None:
        self._seeds = Seeds(folder)

    def mutation(self, rng: Random) -> Mutation:
        name = self._seeds.choose(rng)
        parts, kind = self._seeds.parts[name], rng.choice((FLATBUFFER, FLATBUFFER, ARCHIVE, BYTES))
        if kind == FLATBUFFER:
            data = parts.with_flatbuffer(mutated_flatbuffer(rng, parts.flatbuffer)).file()
        elif kind == ARCHIVE:
            data = mutated_archive(rng, parts)
        else:
            data = mutated(rng, self._seeds.data[name])
        return Mutation(data, ".tflite", kind, name)

    def check(self, path: Path, mutation: Mutation) -> Outcome:
        found = inspect_model(path)
        json.loads(found.to_json())
        if not str(found).isprintable() and not all(
            line.isprintable() for line in str(found).split("\n")
        ):
            raise WrongAnswerError(f"characters for a terminal: {str(found)!r}")
        if sum(found.bytes_by_part.values()) != len(mutation.data):
            raise WrongAnswerError("the bytes do not add up")
        return Outcome.ANSWERED


class VerifyTarget:
    """`edge-rnn verify`: the probes and their record."""

    def __init__(self, folder: Path, engine: str) -> None:
        self._seeds, self._engine = Seeds(folder), engine

    def mutation(self, rng: Random) -> Mutation:
        name = self._seeds.choose(rng)
        return Mutation(mutated_archive(rng, self._seeds.parts[name]), ".tflite", ARCHIVE, name)

    def check(self, path: Path, mutation: Mutation) -> Outcome:
        with Classifier(path, engine=self._engine) as classifier:
            verification = classifier.verify()
        json.loads(verification.to_json())
        file, sound = read_model_file(path), self._seeds.files[mutation.seed]
        if file == sound and not verification:
            raise WrongAnswerError(f"a valid file fails: {verification}")
        if not all(line.isprintable() for line in str(verification).split("\n")):
            raise WrongAnswerError(f"characters for a terminal: {str(verification)!r}")
        return Outcome.ANSWERED
