"""Shows why the digest is needed: engines on files that the loader refuses, each in a process."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
from pathlib import Path
from random import Random

from edge_runtime.errors import EdgeRnnError, ModelError
from edge_runtime.inference.classifier import Classifier
from edge_runtime.model_file.read_file import read_model_file
from tests.fuzz.archive_mutations import Parts
from tests.fuzz.flatbuffer_mutations import mutated_flatbuffer
from tests.fuzz.model_targets import Seeds, window_of
from tests.fuzz.outcome import Mutation, Outcome, WrongAnswerError

SECONDS = 20
REFUSED, ANSWERED, BUG = 0, 1, 2
"""Exit codes of the process with the engine."""


class TrustTarget:
    """The engine's own behaviour with `trust` on a FlatBuffer that was changed."""

    def __init__(self, folder: Path, engine: str) -> None:
        self._seeds, self._engine = Seeds(folder), engine
        with Classifier(folder / "float32.tflite", engine=engine):
            pass  # loads the engine once, in this process

    def mutation(self, rng: Random) -> Mutation:
        name = self._seeds.choose(rng)
        parts = self._seeds.parts[name]
        flatbuffer = parts.flatbuffer
        while flatbuffer.startswith(parts.flatbuffer):
            flatbuffer = mutated_flatbuffer(rng, parts.flatbuffer)
        return Mutation(Parts(flatbuffer, parts.entries).file(), ".tflite", "flatbuffer", name)

    def check(self, path: Path, mutation: Mutation) -> Outcome:
        with contextlib.suppress(ModelError):
            Classifier(path, engine=self._engine)
            raise WrongAnswerError("a changed FlatBuffer was let through")
        return self._with_trust(path, mutation)

    def _with_trust(self, path: Path, mutation: Mutation) -> Outcome:
        child = os.fork()
        if not child:
            os._exit(_run(path, self._engine, mutation))
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            return Outcome.ENGINE_DIED
        if os.WEXITSTATUS(status) == BUG:
            raise WrongAnswerError(path.with_suffix(".bug").read_text())
        return Outcome.REFUSED


def _run(path: Path, engine: str, mutation: Mutation) -> int:
    """Run in the child of a fork. Nothing may return to the caller's loop."""
    faulthandler.disable()
    signal.alarm(SECONDS)
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    try:
        with Classifier(path, engine=engine, trust=True) as classifier:
            classifier.logits(window_of(read_model_file(path, trust=True), mutation))
        return ANSWERED
    except EdgeRnnError:
        return REFUSED
    except BaseException:
        import traceback

        path.with_suffix(".bug").write_text(traceback.format_exc())
        return BUG
