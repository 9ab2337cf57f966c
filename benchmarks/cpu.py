"""The CPU's name, which every benchmark prints: figures from different machines do not compare."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def cpu_name() -> str:
    """Model name and core count, with the vector extensions that decide the speed of the engines."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    fields = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
    values = {key.strip(): value.strip() for key, value in fields.items()}
    name = values.get("model name", platform.processor() or platform.machine())
    flags = values.get("flags", values.get("Features", "")).split()
    notable = [flag for flag in ("avx2", "avx512_vnni", "avx_vnni", "asimddp") if flag in flags]
    return f"{name}, {os.cpu_count()} cores, {' '.join(notable) or 'no vector extensions listed'}"
