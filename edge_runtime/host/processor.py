"""The board and the processor, as Linux names them."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

ARM_CORES = {
    "0xb76": "ARM1176",
    "0xc07": "Cortex-A7",
    "0xc08": "Cortex-A8",
    "0xc09": "Cortex-A9",
    "0xd03": "Cortex-A53",
    "0xd04": "Cortex-A35",
    "0xd05": "Cortex-A55",
    "0xd07": "Cortex-A57",
    "0xd08": "Cortex-A72",
    "0xd09": "Cortex-A73",
    "0xd0a": "Cortex-A75",
    "0xd0b": "Cortex-A76",
}
"""CPU part -> core, of implementer 0x41, ARM (Linux, arch/arm64/include/asm/cputype.h)."""

ARM = "0x41"

CPU_INFO = "proc/cpuinfo"
BOARD = "proc/device-tree/model"


@dataclass(frozen=True)
class Processor:
    """The processor and its board."""

    board: str | None
    """As the device tree names it, e.g. Raspberry Pi 4 Model B Rev 1.4."""
    model: str | None
    features: tuple[str, ...] = ()
    """Instruction sets as the kernel names them, e.g. avx2 or asimddp."""

    def __str__(self) -> str:
        """The names of the board and the model; the architecture if both are unknown."""
        return ", ".join(filter(None, (self.board, self.model))) or platform.machine()


def read_processor(root: str | Path = "/") -> Processor:
    """The processor of this machine; `root` is the folder that contains proc."""
    fields = dict(re.findall(r"^([^:\n]+?)\s*: *(.*)$", read_text(root, CPU_INFO), re.MULTILINE))
    features = fields.get("flags") or fields.get("Features") or ""
    board = read_text(root, BOARD).strip("\0 \n") or fields.get("Model") or None
    return Processor(board, _model(fields), tuple(features.split()))


def usable_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def read_text(root: str | Path, name: str) -> str:
    """The content of a file that only some machines have; empty if it is missing."""
    try:
        return Path(root, name).read_text("utf-8", "replace")
    except OSError:
        return ""


def _model(fields: dict[str, str]) -> str | None:
    part = fields.get("CPU part", "").lower()
    if fields.get("CPU implementer", "").lower() == ARM and part in ARM_CORES:
        return ARM_CORES[part]
    named = fields.get("model name") or platform.processor()
    return named or (f"CPU part {part}" if part else None)
