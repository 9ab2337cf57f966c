"""Builds a wheel for each platform with the C compiler of the package `ziglang`: `make wheels`.

    python -m scripts.build_wheels [--out dist] [PLATFORM ...]

Each wheel has the same Python modules and its own shared library, and fits every Python from 3.9 on.
The libraries for Linux need nothing but memcpy and the like from the system's C library, glibc 2.17 or
musl 1.1, which is checked here.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.errors import EngineError
from scripts.compile_library import (
    NOTE,
    Compiled,
    CompileError,
    Compiler,
    compile_library,
    describe_compiler,
    library_name,
)
from scripts.debian_packages import run

ROOT = Path(__file__).resolve().parents[1]
LIBRARY_FOLDER = Path("edge_runtime", "native")

ZIG = (sys.executable, "-m", "ziglang", "cc")

LINK_FLAGS = ("-s", "-Wl,--gc-sections")
"""Without them, the whole run-time library of the compiler is in the libraries for ARM."""

GLIBC = (2, 17)
"""The oldest glibc that the libraries run with, that of manylinux2014."""

FROM_LIBC = {"memcpy", "memmove", "memset"}
"""What a library may take from the system. A compiler writes memmove where it knows that it is right."""

MACHINES = {"x86_64": "EM_X86_64", "aarch64": "EM_AARCH64", "armhf": "EM_ARM"}
"""Architecture -> the machine in the head of an ELF file."""

MINIMUM_MACOS = "11.0"
"""The first macOS on arm64, which Python 3.9 and newer run on."""


@dataclass(frozen=True)
class Platform:
    """What a wheel is for."""

    name: str
    tags: tuple[str, ...]
    """Platform tags of the wheel."""
    target: tuple[str, ...]
    """Options of zig."""
    system: str = "linux"

    @property
    def is_glibc(self) -> bool:
        """Whether the library is linked with glibc."""
        return "-gnu" in self.target[1] and self.system == "linux"

    def compiler(self) -> Compiler:
        """The compiler for the platform. Raises CompileError if it does not run."""
        flags = LINK_FLAGS if self.system == "linux" else LINK_FLAGS[:1]
        return describe_compiler((*ZIG, *self.target), self.system, link_flags=flags)


def _manylinux(machine: str) -> tuple[str, ...]:
    return f"manylinux2014_{machine}", f"manylinux_2_17_{machine}"


_V7 = ("-mcpu=generic+v7a+vfp3d16-neon",)
_V6 = ("-mcpu=arm1176jzf_s",)

PLATFORMS = (
    Platform("glibc-x86_64", _manylinux("x86_64"), ("-target", "x86_64-linux-gnu.2.17")),
    Platform("glibc-aarch64", _manylinux("aarch64"), ("-target", "aarch64-linux-gnu.2.17")),
    Platform("glibc-armv7l", _manylinux("armv7l"), ("-target", "arm-linux-gnueabihf.2.17", *_V7)),
    # manylinux knows no ARMv6. pip takes the plain tag from a file, but PyPI refuses it.
    Platform("glibc-armv6l", ("linux_armv6l",), ("-target", "arm-linux-gnueabihf.2.17", *_V6)),
    Platform("musl-x86_64", ("musllinux_1_1_x86_64",), ("-target", "x86_64-linux-musl")),
    Platform("musl-aarch64", ("musllinux_1_1_aarch64",), ("-target", "aarch64-linux-musl")),
    Platform("musl-armv7l", ("musllinux_1_1_armv7l",), ("-target", "arm-linux-musleabihf", *_V7)),
    Platform("musl-armv6l", ("musllinux_1_1_armv6l",), ("-target", "arm-linux-musleabihf", *_V6)),
    Platform(
        "macos-x86_64", ("macosx_11_0_x86_64",), ("-target", f"x86_64-macos.{MINIMUM_MACOS}"), "darwin"
    ),
    Platform(
        "macos-arm64", ("macosx_11_0_arm64",), ("-target", f"aarch64-macos.{MINIMUM_MACOS}"), "darwin"
    ),
    Platform("windows-amd64", ("win_amd64",), ("-target", "x86_64-windows-gnu"), "win32"),
    Platform("windows-arm64", ("win_arm64",), ("-target", "aarch64-windows-gnu"), "win32"),
)


class Wheels:
    """Makes wheels from one build of the Python modules, in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._modules = folder / "modules"

    def prepare(self, source: Path = ROOT) -> None:
        """Build the modules, from a source distribution. Raises EngineError if that fails."""
        built = self._folder / "built"
        run([sys.executable, "-m", "build", "--outdir", str(built), str(source)], ROOT)
        (wheel,) = built.glob("*.whl")
        run([sys.executable, "-m", "wheel", "unpack", "--dest", str(built), str(wheel)], ROOT)
        (unpacked,) = (path for path in built.iterdir() if path.is_dir())
        for name in (NOTE, library_name()):
            (unpacked / LIBRARY_FOLDER / name).unlink(missing_ok=True)
        unpacked.rename(self._modules)

    def make(self, platform: Platform, out: Path) -> tuple[Path, Compiled]:
        """The platform's wheel in `out`. Raises CompileError or EngineError."""
        folder = self._folder / platform.name
        shutil.copytree(self._modules, folder / "wheel")
        library = folder / "wheel" / LIBRARY_FOLDER
        compiled = compile_library(library, platform.compiler(), strict=True)
        compiled.write(library)
        if platform.system == "linux":
            check_library(library / str(compiled.library), platform, compiled)
        _declare_platform(folder / "wheel", platform.tags)
        run([sys.executable, "-m", "wheel", "pack", "--dest", str(folder), str(folder / "wheel")], ROOT)
        (packed,) = folder.glob("*.whl")
        out.mkdir(parents=True, exist_ok=True)
        return Path(shutil.move(packed, out / packed.name)), compiled


def check_library(path: Path, platform: Platform, compiled: Compiled) -> None:
    """Raise CompileError if the library needs more of the system than its wheel's tag promises."""
    from elftools.elf.elffile import ELFFile

    with path.open("rb") as stream:
        file = ELFFile(stream)
        machine, architecture = file["e_machine"], str(compiled.architecture)
        needed, versions = _needed_symbols(file), _needed_versions(file)
    if machine != MACHINES[architecture]:
        raise CompileError(f"{platform.name}: the library is for {machine}, not {architecture}")
    if needed - FROM_LIBC:
        raise CompileError(f"{platform.name}: the library needs {', '.join(sorted(needed - FROM_LIBC))}")
    too_new = [version for version in versions if not _is_old(version)]
    if too_new or (versions and not platform.is_glibc):
        raise CompileError(f"{platform.name}: the library needs {', '.join(too_new or versions)}")


def _needed_symbols(file) -> set[str]:
    table = file.get_section_by_name(".dynsym")
    return {
        symbol.name
        for symbol in (table.iter_symbols() if table else ())
        if symbol["st_shndx"] == "SHN_UNDEF" and symbol["st_info"]["bind"] == "STB_GLOBAL"
    }


def _needed_versions(file) -> list[str]:
    section = file.get_section_by_name(".gnu.version_r")
    found = section.iter_versions() if section else ()
    return sorted({version.name for _, versions in found for version in versions})


def _is_old(version: str) -> bool:
    match = re.fullmatch(r"GLIBC_(\d+)\.(\d+)(?:\.\d+)?", version)
    return match is not None and (int(match[1]), int(match[2])) <= GLIBC


def _declare_platform(folder: Path, tags: Iterable[str]) -> None:
    """State the platform in the wheel's own file, from which `wheel pack` makes its name."""
    (file,) = folder.glob("*.dist-info/WHEEL")
    kept = [
        line for line in file.read_text().splitlines() if line and not line.startswith(("Root-", "Tag:"))
    ]
    lines = [*kept, "Root-Is-Purelib: false", *(f"Tag: py3-none-{tag}" for tag in sorted(tags))]
    file.write_text("\n".join(lines) + "\n\n")


def build_wheels(platforms: Iterable[Platform], out: Path, source: Path = ROOT) -> list[str]:
    """Build the wheels, and return a line about each. Raises CompileError or EngineError."""
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(os.cpu_count()) as pool:
        wheels = Wheels(Path(name))
        wheels.prepare(source)
        made = pool.map(lambda platform: wheels.make(platform, out), platforms)
        return [
            f"{path} ({path.stat().st_size / 1000:.0f} kB): {', '.join(compiled.kernels)}"
            for path, compiled in made
        ]


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    names = [platform.name for platform in PLATFORMS]
    parser.add_argument("platforms", nargs="*", metavar="PLATFORM", help=f"of {', '.join(names)}")
    parser.add_argument("--out", type=Path, default=Path("dist"), help="the folder for the wheels")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.platforms if name not in names]
    if unknown:
        parser.error(f"PLATFORM: cannot be {unknown[0]!r}. Choose {', '.join(names)}.")
    chosen = [item for item in PLATFORMS if not options.platforms or item.name in options.platforms]
    # The same sources give the same bytes.
    os.environ.setdefault("SOURCE_DATE_EPOCH", "315532800")
    try:
        print(*build_wheels(chosen, options.out), sep="\n")
    except (CompileError, EngineError) as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
