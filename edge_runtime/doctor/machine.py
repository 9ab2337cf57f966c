"""Facts of this machine: the board, the processor, memory, the operating system."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

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
OS_RELEASE = "etc/os-release"


@dataclass(frozen=True)
class Machine:
    """The hardware, and what runs on it."""

    board: str | None
    """As the device tree names it, e.g. Raspberry Pi 4 Model B Rev 1.4."""
    processor: str | None
    kernel: str
    """The architecture of the kernel: aarch64, x86_64, armv7l, ..."""
    cores: int
    memory: int
    """Bytes; 0 where it is not known."""
    system: str
    """Name and version of the operating system."""

    def __str__(self) -> str:
        """One line."""
        cores = f"{self.cores} core{'s' * (self.cores != 1)}"
        memory = f"{self.memory / 2**30:.1f} GiB" if self.memory else None
        named = (self.board, self.processor, self.kernel, cores, memory, self.system)
        return ", ".join(part for part in named if part)

    def to_json(self) -> dict[str, Any]:
        """The fields."""
        return asdict(self)


def this_machine(root: str = "/") -> Machine:
    """The machine that this process runs on; `root`: where proc and etc are."""
    information = _text(root, CPU_INFO)
    fields = dict(re.findall(r"^([^:\n]+?)\s*: *(.*)$", information, re.MULTILINE))
    board = _text(root, BOARD).strip("\0 \n") or fields.get("Model") or None
    return Machine(
        board=board,
        processor=_processor(fields),
        kernel=platform.machine(),
        cores=os.cpu_count() or 1,
        memory=_memory(),
        system=_system_name(root),
    )


def _processor(fields: dict[str, str]) -> str | None:
    part = fields.get("CPU part", "").lower()
    if fields.get("CPU implementer", "").lower() == ARM and part in ARM_CORES:
        return ARM_CORES[part]
    return fields.get("model name") or (f"CPU part {part}" if part else None)


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not on every system
        return 0


def _system_name(root: str) -> str:
    match = re.search(r'^PRETTY_NAME="?(.*?)"?$', _text(root, OS_RELEASE), re.MULTILINE)
    return match.group(1) if match else f"{platform.system()} {platform.release()}"


def _text(root: str, name: str) -> str:
    try:
        return Path(root, name).read_text("utf-8", "replace")
    except OSError:  # there on some machines only
        return ""
