"""The results of the emulated boards, as the table at the end of the tests (docs/results/device.md)."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripts.arm_boards import BOARDS, board_of


@dataclass(frozen=True)
class Found:
    """One model in one engine on one board, compared with x86 and with the full model."""

    cpu: str
    engine: str
    precision: str
    kernels: str
    others: int
    """The number of digits whose class differs from the full model's."""
    count: int
    difference: float
    """The largest difference of a logit from x86."""
    mean: float
    same_bits: bool
    verified: bool

    def __str__(self) -> str:
        """`100.0 %, same bits`"""
        apart = "same bits" if self.same_bits else f"{self.difference:.6f}"
        failed = "" if self.verified or self.kernels != "default" else ", NOT VERIFIED"
        return f"{100 * (1 - self.others / self.count):.1f} %, {apart}{failed}"


def compared(
    place: tuple[str, str, str, str],
    found: np.ndarray,
    x86: np.ndarray,
    full: np.ndarray,
    said: str,
) -> Found:
    """`place`: cpu, engine, precision and kernels; logits `[N, classes]`."""
    apart = np.abs(found.astype(np.float64) - x86)
    return Found(
        *place,
        others=int((found.argmax(axis=1) != full.argmax(axis=1)).sum()),
        count=len(found),
        difference=float(apart.max()),
        mean=float(apart.mean()),
        same_bits=found.tobytes() == x86.tobytes(),
        verified=": verified" in said,
    )


@dataclass(frozen=True)
class Matrix:
    """Collects results in a folder that all test processes share. Its text is a Markdown table."""

    folder: Path

    def add(self, row: Found) -> None:
        """Store a row."""
        self.folder.mkdir(exist_ok=True)
        name = f"{row.cpu}-{row.engine}-{row.precision}-{row.kernels}"
        (self.folder / f"{name}.pickle").write_bytes(pickle.dumps(row))

    @property
    def rows(self) -> list[Found]:
        """All rows of all processes so far."""
        return [pickle.loads(path.read_bytes()) for path in sorted(self.folder.glob("*.pickle"))]

    def __str__(self) -> str:
        """The table."""
        rows = self.rows
        cpus = [board.cpu for board in BOARDS if board.cpu in {row.cpu for row in rows}]
        head = [
            "precision",
            "engine",
            *(f"{board_of(cpu).name.removesuffix(' Model B')}, {cpu}" for cpu in cpus),
        ]
        cells: dict[tuple[str, str, str], dict[str, str]] = {}
        for row in rows:
            cells.setdefault((row.precision, row.engine, row.kernels), {})[row.cpu] = str(row)
        lines = [f"| {' | '.join(head)} |", "|" + " --- |" * len(head)]
        for precision, engine, kernels in sorted(cells, key=_order):
            by_cpu = cells[precision, engine, kernels]
            where = engine if kernels == "default" else f"{engine}, {kernels} kernels"
            found = [by_cpu.get(cpu, "") for cpu in cpus]
            lines.append(f"| {' | '.join([precision, where, *found])} |")
        return "\n".join(lines)


PRECISIONS = ("float32", "float16", "dynamic", "int16x8", "mixed", "int8", "int4")


def _order(key: tuple[str, str, str]) -> tuple[str, int, str]:
    precision, engine, kernels = key
    return kernels, PRECISIONS.index(precision), engine
