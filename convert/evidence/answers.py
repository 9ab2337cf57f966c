"""What the reference answers on the compared windows, and what a model answers in each engine."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.proof.engines import ProofEngine, ProofEngines
from convert.proof.parity import engine_logits
from convert.source_model.source_model import SourceModel
from edge_runtime.engines.engine import NATIVE, native_kernels
from edge_runtime.errors import EngineError

HASH_DIGITS = 4

DEFAULT_KERNELS = "default"

Float32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Compared:
    """The reference and the windows of a comparison."""

    name: str
    """Of the reference, for reports."""
    source: SourceModel
    """Its held-out windows are the compared ones, its logits the reference's answers."""
    positions: NDArray[np.int64]
    """Position of each window in the user's data, `[N]`."""
    groups: NDArray[np.str_] | None
    """The group of each window, `[N]`; None where the data has none."""
    data_name: str
    data_sha256: str
    values: NDArray[np.float64] | None = None
    """What the outputs of a regression should be, `[N, outputs]`; None where that is not known."""

    @property
    def task(self) -> str:
        """classification, regression or embedding."""
        return self.source.task

    @property
    def labelled(self) -> bool:
        """Whether the true classes are known."""
        return self.source.labelled

    @property
    def truth(self) -> NDArray[np.int64]:
        """The true classes `[N]`, where they are known."""
        return self.source.held_out.y

    def for_precision(self, precision: str) -> Compared:
        """The same with the logits that a file in `precision` must give (SourceModel.for_precision)."""
        return replace(self, source=self.source.for_precision(precision))

    @property
    def windows_sha256(self) -> str:
        """SHA-256 of the windows, their order and their true classes, hexadecimal."""
        x, y = self.source.held_out.x, self.source.held_out.y if self.labelled else None
        digest = hashlib.sha256(f"{x.dtype.str}{x.shape}".encode())
        digest.update(np.ascontiguousarray(x).tobytes())
        digest.update(b"" if y is None else np.ascontiguousarray(y).tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class EngineAnswers:
    """The logits of a model file in one engine with one set of kernels."""

    engine: ProofEngine
    kernels: str
    logits: Float32 | None
    """`[N, classes]`; None if the engine refused the file or crashed."""
    failure: str = ""

    @property
    def name(self) -> str:
        """The engine, and its kernels if they are not the default ones."""
        if self.kernels == DEFAULT_KERNELS:
            return self.engine.distribution
        return f"{self.engine.distribution} {self.kernels}"


def answers_of(model: str | Path, windows: NDArray[Any], engines: ProofEngines) -> list[EngineAnswers]:
    """The answers of every available engine; of native with each set of kernels of this processor."""
    found = []
    for engine in engines.available:
        for kernels in _kernels(engine):
            try:
                logits = engine_logits(
                    model, windows, engine=engine.distribution, kernels=kernels, python=engine.python
                )
                found.append(EngineAnswers(engine, kernels, logits))
            except EngineError as error:
                found.append(EngineAnswers(engine, kernels, None, str(error).split(". ")[0]))
    return found


def _kernels(engine: ProofEngine) -> tuple[str, ...]:
    return native_kernels() if engine.distribution == NATIVE else (DEFAULT_KERNELS,)


def logits_sha256(logits: Float32) -> str:
    """SHA-256 of the logits' bytes, hexadecimal: equal bits have equal digests."""
    return hashlib.sha256(np.ascontiguousarray(logits, "<f4").tobytes()).hexdigest()


def window_hashes(logits: Float32) -> str:
    """The low 16 bits of the CRC-32 of each window's logits, HASH_DIGITS hexadecimal digits each.

    Of 65,536 windows whose logits changed, one keeps its hash.
    """
    rows = np.ascontiguousarray(logits, "<f4")
    return "".join(f"{zlib.crc32(row.tobytes()) & 0xFFFF:04x}" for row in rows)
