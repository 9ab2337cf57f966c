"""The CPU's name and caches, which every benchmark prints, as different machines cannot be compared.

The caches decide as much as the core does: a model whose weights do not fit into a level runs at the
speed of the next.
"""

from __future__ import annotations

from pathlib import Path

from edge_runtime.host.processor import read_processor, usable_cores

DECISIVE = ("avx2", "avx512_vnni", "avx_vnni", "asimddp")
"""Vector extensions that decide the speed of the engines."""
CACHES = Path("/sys/devices/system/cpu/cpu0/cache")


def cpu_name() -> str:
    """Model name and core count, with the vector extensions and the caches that matter."""
    processor = read_processor()
    notable = [name for name in DECISIVE if name in processor.features]
    extensions = " ".join(notable) or "no vector extensions listed"
    return f"{processor}, {usable_cores()} cores, {extensions}, {cache_names()}"


def cache_names() -> str:
    """The data caches of one core, e.g. "L1 48 kB, L2 2 MB, L3 32 MB", where the system tells."""
    found = {}
    for folder in sorted(CACHES.glob("index*")):
        level, kind, size = ((folder / name).read_text().strip() for name in ("level", "type", "size"))
        if kind != "Instruction":
            found[level] = readable(size)
    return ", ".join(f"L{level} {size}" for level, size in sorted(found.items())) or "unknown caches"


def readable(size: str) -> str:
    """`2048K` as `2 MB`."""
    kilobytes = int(size.rstrip("K")) if size.endswith("K") else 0
    if not kilobytes:
        return size
    return f"{kilobytes // 1024} MB" if kilobytes % 1024 == 0 else f"{kilobytes} kB"
