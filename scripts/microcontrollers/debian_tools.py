"""Debian's cross compilers for microcontrollers and qemu's system mode, unpacked into the cache.

    python -m scripts.microcontrollers.debian_tools

prints the folder. The versions are Debian's also where others are installed, because the sizes and the
counts of instructions depend on them. Every program is started through a script that names Debian's own
loader and libraries, so this machine's glibc does not matter.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from edge_runtime.errors import EngineError
from scripts.cached_folder import cached_folder
from scripts.debian_packages import SUITE, own_architecture, unpack

COMPILERS = (
    "binutils-arm-none-eabi",
    "binutils-riscv64-unknown-elf",
    "gcc-arm-none-eabi",
    "gcc-riscv64-unknown-elf",
    "libisl23",
    "libmpc3",
    "libmpfr6",
    "libnewlib-arm-none-eabi",
    "libnewlib-dev",
)
EMULATORS = (
    "libaio1",
    "libblkid1",
    "libbpf1",
    "libc6",
    "libcapstone4",
    "libdaxctl1",
    "libelf1",
    "libfdt1",
    "libffi8",
    "libfuse3-3",
    "libgcc-s1",
    "libglib2.0-0",
    "libgmp10",
    "libgnutls30",
    "libhogweed6",
    "libibverbs1",
    "libidn2-0",
    "libjpeg62-turbo",
    "libkmod2",
    "liblzma5",
    "libmount1",
    "libndctl6",
    "libnettle8",
    "libnl-3-200",
    "libnl-route-3-200",
    "libnuma1",
    "libp11-kit0",
    "libpcre2-8-0",
    "libpixman-1-0",
    "libpmem1",
    "libpng16-16",
    "librdmacm1",
    "libsasl2-2",
    "libseccomp2",
    "libselinux1",
    "libslirp0",
    "libssl3",
    "libtasn1-6",
    "libudev1",
    "libunistring2",
    "liburing2",
    "libuuid1",
    "libvdeplug2",
    "libzstd1",
    "qemu-system-arm",
    "qemu-system-misc",
    "zlib1g",
)
"""qemu with everything that it is linked with. Its own dependencies would bring three times as much."""

PROGRAMS = (
    "usr/bin/*-gcc",
    "usr/bin/*-objdump",
    "usr/bin/*-size",
    "usr/bin/qemu-system-arm",
    "usr/bin/qemu-system-riscv32",
    "usr/lib/arm-none-eabi/bin/*",
    "usr/lib/riscv64-unknown-elf/bin/*",
    "usr/lib/gcc/*/*/cc1",
    "usr/lib/gcc/*/*/collect2",
)
SURPLUS = (
    "usr/bin/*",
    "usr/share",
    "usr/lib/gcc/*/*/arm",
    "usr/lib/gcc/*/*/cc1plus",
    "usr/lib/gcc/*/*/lto1",
    "usr/lib/gcc/*/*/plugin",
    "usr/lib/gcc/*/*/rv64*",
    "usr/lib/gcc/*/*/thumb/v7-a*",
    "usr/lib/gcc/*/*/thumb/v7ve*",
    "usr/lib/gcc/*/*/thumb/v8-a*",
    "usr/lib/arm-none-eabi/newlib/arm",
    "usr/lib/arm-none-eabi/newlib/thumb/*/*/libstdc*",
    "usr/lib/arm-none-eabi/newlib/thumb/v7-a*",
    "usr/lib/arm-none-eabi/newlib/thumb/v7ve*",
    "usr/lib/arm-none-eabi/newlib/thumb/v8-a*",
)
"""What no board needs: most of 2 GB."""

START = """#!/bin/sh
root=$(dirname "$0")/{up}
libraries=$(echo "$root"/lib/*-linux-gnu "$root"/usr/lib/*-linux-gnu | tr ' ' ':')
exec "$root"/lib*/ld-linux*.so.* --library-path "$libraries" --argv0 "$0" "$0.program" "$@"
"""


def debian_tools() -> Path:
    """The folder of `arm-none-eabi-gcc`, `qemu-system-arm` and so on, made when it is missing.

    Raises EngineError that names what is missing or what failed.
    """
    architecture = own_architecture()
    content = (SUITE, architecture, *COMPILERS, *EMULATORS, *PROGRAMS, *SURPLUS, START)

    def make(folder: Path) -> None:
        unpack((*COMPILERS, *EMULATORS), architecture, folder)
        programs = list(_programs(folder))
        kept = {*programs}
        for pattern in SURPLUS:
            for path in folder.glob(pattern):
                if path not in kept:
                    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        for program in programs:
            _start_with_own_loader(program, folder)

    return cached_folder("microcontrollers", content, make) / "usr" / "bin"


def _programs(folder: Path) -> Iterator[Path]:
    for pattern in PROGRAMS:
        yield from (path for path in sorted(folder.glob(pattern)) if not path.is_symlink())


def _start_with_own_loader(program: Path, folder: Path) -> None:
    """Put a script in the place of the program, if it is one for this machine."""
    with program.open("rb") as file:
        if file.read(4) != b"\x7fELF":
            return
    up = "/".join([".."] * len(program.parent.relative_to(folder).parts))
    program.rename(f"{program}.program")
    program.write_text(START.format(up=up))
    program.chmod(0o755)


if __name__ == "__main__":
    try:
        print(debian_tools())
    except EngineError as error:
        sys.exit(f"Error: {error}")
