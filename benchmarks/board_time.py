"""Estimates the time of a run on a Raspberry Pi from what an emulation counted (instructions.py).

The model is documented, with the source of each figure, in docs/internals/board-time.md. In short:

- Issue: the cycles that the busiest part of the core needs, with perfect scheduling. The parts are the
  decoder, the loads and stores, the vector pipes, and the one pipe that multiplies vectors of integers.
- Transfers: each miss moves a line of 64 bytes from the next level, at that level's rate for a stream.
- The estimate is a range. At its lower end, issue and all transfers overlap and the longest decides. At
  its upper end nothing overlaps and the sum counts.

Waiting for results, wrong predictions of branches and misses of the TLB and the instruction cache are
not in the model. Real times are above the lower end, and may be above the upper one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

LINE = 64
"""Bytes of a line, in every cache of these boards."""


class Counts(NamedTuple):
    """What the plugin counts, in its order (count_instructions.c)."""

    instructions: int
    vector: int
    """Arithmetic in vector registers, floating point included."""
    multiply: int
    """Of these, multiplications of vectors of integers. Dot products are not among them."""
    floats: int
    """Of these, arithmetic with 128-bit vectors of floats."""
    scalar: int
    """Loads and stores of general registers."""
    pieces: int
    """Accesses of at most 8 bytes by loads and stores of vector registers."""


@dataclass(frozen=True)
class Core:
    """What one core can issue in a cycle."""

    gigahertz: float
    width: int
    """Instructions."""
    memory_pipes: int
    """Loads and stores."""
    piece_rate: int
    """Pieces of 8 bytes that loads and stores of vector registers move."""
    vector_pipes: int
    """Pipes for arithmetic with 128-bit vectors."""
    float_slots: int
    """Pipes that one operation with a 128-bit vector of floats takes."""
    shared_issue: bool
    """Whether vector arithmetic waits while a vector register is loaded."""


@dataclass(frozen=True)
class Source:
    """A cache level below L1, or the memory: what serves the misses of the level above it."""

    gigabytes: float
    """Per second, for a stream."""


@dataclass(frozen=True)
class Timed:
    """Microseconds of one run."""

    overlapped: float
    summed: float

    def ratio_to(self, other: Timed) -> tuple[float, float]:
        """Both ends over the same ends of `other`, the smaller first."""
        low, high = self.overlapped / other.overlapped, self.summed / other.summed
        return min(low, high), max(low, high)


def in_flight(lines: int, nanoseconds: float) -> Source:
    """A level with that latency and so many lines on their way at a time."""
    return Source(lines * LINE / nanoseconds)


A53 = Core(1.2, width=2, memory_pipes=1, piece_rate=1, vector_pipes=1, float_slots=1, shared_issue=True)
A72 = Core(1.8, width=3, memory_pipes=1, piece_rate=2, vector_pipes=2, float_slots=2, shared_issue=False)
A76 = Core(2.4, width=4, memory_pipes=2, piece_rate=4, vector_pipes=2, float_slots=1, shared_issue=False)

BOARDS: dict[str, tuple[Core, tuple[Source, ...]]] = {
    "cortex-a53": (A53, (in_flight(1, 12.3), Source(2.22))),
    "cortex-a72": (A72, (in_flight(6, 14.1), Source(4.65))),
    "cortex-a76": (A76, (Source(32 * 2.4), Source(32 * 2.4), Source(14.87))),
}
"""CPU -> its core, and what serves the misses of L1, of L2 and so on."""


def issue_cycles(core: Core, counts: Counts) -> float:
    """Cycles of the busiest part of the core."""
    vector = (counts.vector + (core.float_slots - 1) * counts.floats) / core.vector_pipes
    moved = counts.pieces / core.piece_rate
    memory = counts.scalar / core.memory_pipes + moved
    if core.shared_issue:
        vector += moved
    return max(counts.instructions / core.width, vector, memory, counts.multiply)


def estimate(cpu: str, counts: Counts, misses: tuple[int, ...]) -> Timed:
    """The time on the board with that CPU. `misses`: of each level of its data caches, from L1 on."""
    core, sources = BOARDS[cpu]
    issue = issue_cycles(core, counts) / (1e3 * core.gigahertz)
    transfers = [
        lines * LINE / (1e3 * source.gigabytes) for lines, source in zip(misses, sources, strict=True)
    ]
    return Timed(max(issue, *transfers), issue + sum(transfers))
