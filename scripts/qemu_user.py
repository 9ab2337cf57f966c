"""qemu's user mode, which runs programs of another architecture: the one on the path, or Debian's.

Debian's is unpacked into the cache, with its libraries and their loader, so it needs neither root nor
this machine's glibc. qemu-user-static would not need the libraries, but it is five times as large and
has no plugins. benchmarks/instructions.py counts with a plugin.
"""

from __future__ import annotations

import shutil

from edge_runtime.errors import EngineError
from scripts.cached_folder import cached_folder
from scripts.debian_packages import SUITE, own_architecture, unpack

PACKAGES = (
    "libc6",
    "libcapstone4",
    "libffi8",
    "libgcc-s1",
    "libglib2.0-0",
    "libgmp10",
    "libgnutls30",
    "libhogweed6",
    "libidn2-0",
    "libnettle8",
    "libnuma1",
    "libp11-kit0",
    "libpcre2-8-0",
    "libtasn1-6",
    "libunistring2",
    "liburing2",
    "qemu-user",
    "zlib1g",
)


def emulator(program: str) -> list[str]:
    """The start of a command that runs `program`, qemu-aarch64 or qemu-arm.

    Raises EngineError that names what is missing or what failed.
    """
    found = shutil.which(program)
    if found:
        return [found]
    try:
        architecture = own_architecture()
        folder = cached_folder(
            "qemu", (SUITE, architecture, *PACKAGES), lambda to: unpack(PACKAGES, architecture, to)
        )
    except EngineError as error:
        raise EngineError(
            f"an emulated ARM machine needs {program}, which cannot be unpacked. Install it: "
            f"apt-get install qemu-user. {error}"
        ) from None
    loader = next(folder.glob("lib*/ld-linux*"))
    libraries = [*folder.glob("lib/*-linux-gnu"), *folder.glob("usr/lib/*-linux-gnu")]
    path = ":".join(map(str, libraries))
    return [str(loader), "--library-path", path, str(folder / "usr" / "bin" / program)]
