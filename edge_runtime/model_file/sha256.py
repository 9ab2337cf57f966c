"""SHA-256 without hashlib, which loads OpenSSL: 3.7 MB of memory for one digest of a small file.

Python's own module `random` imports these modules in the same way.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Callable


def _sha256() -> Callable[[bytes], Any]:
    for name in ("_sha2", "_sha256"):  # since CPython 3.12, and before; other Pythons may have neither
        try:
            found: Callable[[bytes], Any] = import_module(name).sha256
        except (ImportError, AttributeError):
            continue
        return found
    import hashlib

    return hashlib.sha256


def sha256(data: bytes) -> str:
    """The SHA-256 of `data`, hexadecimal (FIPS 180-4)."""
    digest: str = _sha256()(data).hexdigest()
    return digest
