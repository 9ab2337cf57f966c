"""The CPU's name, which every benchmark prints: figures of different machines cannot be compared."""

from __future__ import annotations

from edge_runtime.host.processor import read_processor, usable_cores

DECISIVE = ("avx2", "avx512_vnni", "avx_vnni", "asimddp")
"""Vector extensions that decide the speed of the engines."""


def cpu_name() -> str:
    """Model name and core count, with the vector extensions that matter."""
    processor = read_processor()
    notable = [name for name in DECISIVE if name in processor.features]
    extensions = " ".join(notable) or "no vector extensions listed"
    return f"{processor}, {usable_cores()} cores, {extensions}"
