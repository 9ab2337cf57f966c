"""Debian for ARM with Python 3.11 and the engines' wheels in a folder, run as a Raspberry Pi by qemu.

    python -m scripts.arm_root [aarch64|armv7l|armv6l]

prints the folder, which is in $EDGE_RNN_CACHE or in edge-rnn in the user's cache folder. The folder is
made once, from Debian's packages and wheels from PyPI, and takes about 200 MB. PyPI has no numpy for the
32-bit systems, which therefore get Debian's. Making the folder needs apt-get, dpkg and the network, but
not root. Running its programs needs qemu (scripts/qemu_user.py).
"""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.errors import EngineError
from scripts.arm_boards import Board, board_of
from scripts.cached_folder import cached_folder
from scripts.debian_packages import SUITE, run, unpack
from scripts.qemu_user import emulator

PYTHON = (
    "libbz2-1.0",
    "libc6",
    "libexpat1",
    "libffi8",
    "libgcc-s1",
    "liblzma5",
    "libpython3.11-minimal",
    "libpython3.11-stdlib",
    "libssl3",
    "libstdc++6",
    "libuuid1",
    "python3.11-minimal",
    "zlib1g",
)
"""CPython 3.11, glibc 2.36 and what numpy and the engines are linked with."""

NUMPY = ("libblas3", "libgfortran5", "liblapack3", "python3-numpy")
"""Debian's numpy 1.24, with plain BLAS."""

TAGS = ("manylinux2014", "manylinux_2_17", "manylinux_2_27", "manylinux_2_28", "manylinux_2_34")
"""Platform tags of the wheels. bookworm has glibc 2.36."""


@dataclass(frozen=True)
class Architecture:
    """The parts of a system of one architecture."""

    name: str
    """The name that `uname -m` and wheels use."""
    debian: str
    triplet: str
    """Debian's names of the architecture, and of the folder of its libraries."""
    program: str
    """The emulator in qemu."""
    packages: tuple[str, ...]
    wheels: tuple[str, ...]


AARCH64 = Architecture(
    "aarch64",
    "arm64",
    "aarch64-linux-gnu",
    "qemu-aarch64",
    PYTHON,
    (
        "ai-edge-litert==2.1.6",  # 2.2 and newer crash under Debian's qemu 7.2
        "click==8.1.8",
        "ml_dtypes==0.5.4",  # for shared weights, with ai-edge-litert
        "numpy==1.26.4",
        "onnxruntime==1.20.1",  # for benchmarks/instructions.py
        "tflite-runtime==2.14.0",
    ),
)
ARMV7L = Architecture(
    "armv7l",
    "armhf",
    "arm-linux-gnueabihf",
    "qemu-arm",
    (*PYTHON, *NUMPY),
    ("click==8.1.8", "tflite-runtime==2.14.0"),
)
ARMV6L = Architecture(
    # Debian's armhf is built for ARMv7. Its armel runs on ARMv6, but passes floats in other registers
    # than Raspberry Pi OS.
    "armv6l",
    "armel",
    "arm-linux-gnueabi",
    "qemu-arm",
    (*PYTHON, *NUMPY),
    ("click==8.1.8",),
)
ARCHITECTURES = {item.name: item for item in (AARCH64, ARMV7L, ARMV6L)}


@dataclass(frozen=True)
class Machine:
    """A board that runs the programs of a root. `python` is its Python and is started like any other."""

    board: Board
    folder: Path
    site: Path
    """The folder with the unpacked wheels."""
    emulator: tuple[str, ...]
    """The start of a command, for this board."""

    @property
    def python(self) -> Path:
        """A script that runs Python on the board. As sys.executable, it can start itself again."""
        return self.folder / "usr" / "bin" / "python3.11"

    def command(self, *qemu: str) -> list[str]:
        """The command up to the arguments of Python, with further options of qemu."""
        return [*self.emulator, *qemu, str(self.folder / "python")]

    def environment(self, *folders: Path) -> dict[str, str]:
        """Variables for a command, with these folders and the wheels on Python's path."""
        path = os.pathsep.join(str(item) for item in (*folders, self.site))
        fixed = {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONNOUSERSITE": "1"}
        return {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": path, **fixed}


def arm_root(architecture: Architecture = AARCH64) -> Path:
    """The root in the cache, made when it is missing: `system` and, with the wheels, `site`.

    Raises EngineError that names what is missing or what failed.
    """

    def make(folder: Path) -> None:
        unpack(architecture.packages, architecture.debian, folder / "system")
        _install_wheels(architecture, folder / "site")
        _link_debian_packages(architecture, folder)

    content = (SUITE, *architecture.packages, *architecture.wheels)
    return cached_folder(architecture.name, content, make)


def arm_machine(cpu: str, folder: Path) -> Machine:
    """The board with that CPU, with a root of its own in `folder`, which is made.

    Everything but what its kernel shows is linked to the root in the cache. Raises what `arm_root` does.
    """
    board = board_of(cpu)
    architecture = ARCHITECTURES[board.architecture]
    start = (*emulator(architecture.program), "-cpu", cpu, "-L", str(folder))
    root = arm_root(architecture)
    system = root / "system"
    (folder / "usr" / "bin").mkdir(parents=True)
    for name in ("etc", "lib", "usr/lib"):
        (folder / name).symlink_to(system / name)
    (folder / "python").symlink_to(system / "usr" / "bin" / "python3.11")
    board.write_files(folder)
    machine = Machine(board, folder, root / "site", start)
    # The name by which Python was called, a virtual environment's for instance, tells it where it is.
    script = f'#!/bin/sh\nexec {shlex.join(start)} -0 "$0" {shlex.quote(str(folder / "python"))} "$@"\n'
    machine.python.write_text(script)
    machine.python.chmod(0o755)
    return machine


def _install_wheels(architecture: Architecture, site: Path) -> None:
    platforms = [f"--platform={tag}_{architecture.name}" for tag in TAGS]
    command = [sys.executable, "-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--target", str(site), "--no-deps", "--only-binary=:all:", "--python-version=3.11"]
    run([*command, "--implementation=cp", *platforms, *architecture.wheels], Path.cwd())


def _link_debian_packages(architecture: Architecture, folder: Path) -> None:
    """Do what Debian's installer would do: put numpy on Python's path, and BLAS where numpy finds it."""
    system = folder / "system" / "usr" / "lib"
    for package in (system / "python3" / "dist-packages").glob("numpy*"):
        relative = os.path.relpath(package, folder / "site")
        (folder / "site" / package.name).symlink_to(relative)
    for name in ("blas", "lapack"):
        for library in (system / architecture.triplet / name).glob("*.so.3"):
            (library.parents[1] / library.name).symlink_to(Path(name, library.name))


if __name__ == "__main__":
    try:
        print(arm_root(ARCHITECTURES[sys.argv[1] if len(sys.argv) > 1 else "aarch64"]))
    except EngineError as error:
        sys.exit(f"Error: {error}")
    except KeyError as error:
        sys.exit(f"Error: unknown architecture {error}. Choose {' or '.join(ARCHITECTURES)}.")
