"""The outcomes of a mutated file, and how the child judges it."""

from __future__ import annotations

import os
import resource
import time
import traceback
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from random import Random
from typing import Protocol

from edge_runtime.errors import EdgeRnnError


class Outcome(IntEnum):
    """One byte for every mutation, in a file that parent and child share."""

    NOT_RUN = 0
    RUNNING = 1
    REFUSED = 2
    """The file was refused with a typed error in one line."""
    ANSWERED = 3
    """The file was accepted, and the answer was checked and is right."""
    ENGINE_DIED = 4
    """The file was refused, and a TFLite engine that got it all the same (trust) ended by a signal."""
    FINDING = 5


@dataclass(frozen=True)
class Mutation:
    """A file to try."""

    data: bytes
    suffix: str
    kind: str
    seed: str = ""
    """The valid file from which it was made."""


class Target(Protocol):
    """A part of the product with the mutations that it gets."""

    def mutation(self, rng: Random) -> Mutation:
        """The next file."""

    def check(self, path: Path, mutation: Mutation) -> Outcome:
        """Try the file. Raises EdgeRnnError when it is refused. Any other exception is a bug."""


class WrongAnswerError(Exception):
    """The file was accepted, and the answer is wrong."""


MOST_SECONDS = 5.0
"""Seconds of processor time for one file."""

MOST_MEMORY = 1 << 30
"""Bytes of address space beyond those of the child before its first mutation."""

LONGEST_SENTENCE = 1000


def limit_memory() -> None:
    """Let Python raise MemoryError beyond MOST_MEMORY from now on."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + MOST_MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def judge(target: Target, path: Path, mutation: Mutation) -> tuple[Outcome, str]:
    """The outcome, with a description if it is a finding."""
    started = time.process_time()
    try:
        outcome, problem = target.check(path, mutation), ""
    except EdgeRnnError as error:
        outcome, problem = Outcome.REFUSED, _unfit(error, path)
    except Exception:
        outcome, problem = Outcome.FINDING, traceback.format_exc()
    took = time.process_time() - started
    if took > MOST_SECONDS:
        problem = f"took {took:.1f} s of processor time\n{problem}"
    return (Outcome.FINDING if problem else outcome), problem


def _unfit(error: EdgeRnnError, path: Path) -> str:
    """What is wrong with a typed error; empty if nothing is."""
    text, cause = str(error), error.__cause__ or error.__context__
    while cause is not None:
        if isinstance(cause, MemoryError):
            return f"memory ran out before the refusal: {text}"
        cause = cause.__cause__ or cause.__context__
    if "\n" in text or not text.isprintable():
        return f"the message is not one printable line: {text!r}"
    if len(text) > LONGEST_SENTENCE + len(str(path)):
        return f"the message has {len(text)} characters: {text[:300]}"
    if text.rstrip().endswith(":"):
        return f"the message says no reason: {text}"
    return ""
