"""Finds and loads the compiled library, and says which of its kernels this CPU can run."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from functools import cache
from pathlib import Path
from typing import Any

from edge_runtime.errors import EngineError

LIBRARY_VARIABLE = "EDGE_RNN_NATIVE_LIBRARY"
"""Environment variable with the path of a library to load instead, e.g. one with sanitizers."""

_SUFFIXES = {"darwin": ".dylib", "win32": ".dll"}

_HWCAP_ASIMDDP = 1 << 20  # aarch64: SDOT and UDOT (linux/arch/arm64/include/uapi/asm/hwcap.h)
_HWCAP_NEON = 1 << 12  # 32-bit ARM (arch/arm/include/uapi/asm/hwcap.h)
_AT_HWCAP = 16


class Library:
    """The loaded library."""

    def __init__(self, path: Path) -> None:
        """Raises OSError when it cannot be loaded, AttributeError when it is another library."""
        self.path = path
        self.functions: Any = ctypes.CDLL(str(path))
        _declare(self.functions)
        self.kernels = tuple(name for name in _usable(self.functions) if self.table(name))
        """The names of the sets of kernels that this CPU can run, the fastest first."""

    def table(self, name: str) -> int | None:
        """The address of a set of kernels; None for one that was not compiled."""
        address: int | None = self.functions.er_find_kernels(name.encode())
        return address


def library_path() -> Path:
    """Where the library is, or would be."""
    chosen = os.environ.get(LIBRARY_VARIABLE)
    if chosen:
        return Path(chosen)
    return Path(__file__).parent / f"libedge_rnn{_SUFFIXES.get(sys.platform, '.so')}"


def load_library() -> Library:
    """The library. Raises EngineError, with a sentence, when it is missing or does not load."""
    return _loaded(library_path())


@cache
def _loaded(path: Path) -> Library:
    if not path.is_file():
        raise EngineError(
            f"{path}: the native engine's library is missing. Install edge-rnn from a wheel, or where "
            "there is a C compiler. 'edge-rnn doctor' says more."
        )
    try:
        return Library(path)
    except (OSError, AttributeError) as error:
        reason = " ".join(str(error).replace(f"{path}: ", "").split())
        raise EngineError(
            f"{path}: the native engine's library does not load ({reason}). Install edge-rnn again on "
            "this machine. 'edge-rnn doctor' says more."
        ) from error


def _declare(functions: Any) -> None:
    pointer, number, size = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_size_t
    signatures: dict[str, tuple[Any, list[Any]]] = {
        "er_find_kernels": (pointer, [ctypes.c_char_p]),
        "er_x86_features": (number, []),
        "er_check": (ctypes.c_char_p, [pointer, pointer, size]),
        "er_run": (None, [pointer, pointer, pointer, number]),
        "er_reset": (None, [pointer, pointer, number]),
        "er_step": (ctypes.c_int, [pointer]),
        "er_windows": (ctypes.c_int, [pointer]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(functions, name)
        function.restype, function.argtypes = result, arguments


def _usable(functions: Any) -> list[str]:
    """Sets of kernels that the CPU has the instructions for, the fastest first."""
    machine = platform.machine().lower()
    if machine in ("x86_64", "amd64"):
        features = functions.er_x86_features()
        return [*(["avx512-vnni"] if features & 2 else []), *(["avx2"] if features & 1 else []), "plain"]
    if machine in ("aarch64", "arm64"):
        dot = sys.platform == "darwin" or bool(_hwcap() & _HWCAP_ASIMDDP)
        return [*(["neon-dotprod"] if dot else []), "neon", "plain"]
    if machine.startswith("arm") and _hwcap() & _HWCAP_NEON:
        return ["neon", "plain"]
    return ["plain"]


def _hwcap() -> int:
    try:
        getauxval = ctypes.CDLL(None).getauxval
    except (OSError, AttributeError, TypeError):
        return 0
    getauxval.restype, getauxval.argtypes = ctypes.c_ulong, [ctypes.c_ulong]
    return int(getauxval(_AT_HWCAP))
