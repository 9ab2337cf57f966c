"""Facts of this machine: the board, the processor, memory, the operating system."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import asdict, dataclass
from typing import Any

from edge_runtime.host.processor import read_processor, read_text

OS_RELEASE = "etc/os-release"


@dataclass(frozen=True)
class Machine:
    """The hardware and its operating system."""

    board: str | None
    """As the device tree names it, e.g. Raspberry Pi 4 Model B Rev 1.4."""
    processor: str | None
    kernel: str
    """The architecture of the kernel: aarch64, x86_64, armv7l, ..."""
    cores: int
    memory: int
    """Bytes; 0 if unknown."""
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
    """The machine that this process runs on; `root`: the folder of proc and etc."""
    processor = read_processor(root)
    return Machine(
        board=processor.board,
        processor=processor.model,
        kernel=platform.machine(),
        cores=os.cpu_count() or 1,
        memory=_memory(),
        system=_system_name(root),
    )


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not on every system
        return 0


def _system_name(root: str) -> str:
    match = re.search(r'^PRETTY_NAME="?(.*?)"?$', read_text(root, OS_RELEASE), re.MULTILINE)
    return match.group(1) if match else f"{platform.system()} {platform.release()}"
