"""The wheels of `make wheels` for Linux, installed and run on emulated machines of their platforms.

A random network of each precision has to give the bits that it gives here, in every set of kernels.
float32 and float16 are left out, as additions run in another order. Debian has no Python for musl, so
there a C program loads the library, with a plan that was made here. The wheels for macOS and Windows are
not run.
"""

from __future__ import annotations

import json
import platform
import shutil
import struct
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pip
import pytest
from filelock import FileLock

from convert.compiler.compile import compile_network
from convert.proof.environments import without_this_python
from convert.targets.precision import PRECISIONS
from edge_runtime.errors import EngineError
from edge_runtime.native.interpreter import LAYOUTS
from edge_runtime.native.planner import make_plan
from edge_runtime.numpy_engine.read_graph import read_graph
from scripts.arm_boards import board_of
from scripts.arm_root import ARCHITECTURES, Machine, arm_machine
from scripts.build_wheels import LIBRARY_FOLDER, ZIG
from scripts.cached_folder import cached_folder
from scripts.compile_library import NOTE, SOURCES
from scripts.debian_packages import SUITE, unpack
from scripts.qemu_user import emulator
from tests.device.native_child import outputs
from tests.device.wheels import LINUX
from tests.support.made_once import made_once
from tests.support.networks import random_network, random_windows
from tests.support.sources import package_files

HERE = Path(__file__).parent
SECONDS = 900

EXACT = tuple(name for name in PRECISIONS if name not in ("float32", "float16"))
"""Precisions with the same bits everywhere."""

GLIBC = (
    ("glibc-aarch64", "cortex-a72"),
    ("glibc-aarch64", "cortex-a76"),
    ("glibc-armv7l", "cortex-a7"),
    ("glibc-armv6l", "arm1176"),
)
MUSL = (
    ("musl-x86_64", ""),
    ("musl-aarch64", "cortex-a72"),
    ("musl-aarch64", "cortex-a76"),
    ("musl-armv7l", "cortex-a7"),
    ("musl-armv6l", "arm1176"),
)

KERNELS = {
    "": ("plain",),
    "arm1176": ("plain",),
    "cortex-a7": ("neon", "plain"),
    "cortex-a72": ("neon", "plain"),
    "cortex-a76": ("neon-dotprod", "neon", "plain"),
}
"""CPU -> the sets of kernels that it can run, as far as they are in the sources."""

SOFT_FLOAT, HARD_FLOAT, FLAGS_AT = 0x200, 0x400, 36
"""e_flags of 32-bit ELF files for ARM, and their place."""


@dataclass(frozen=True)
class Models:
    """Models of each precision with an input."""

    folder: Path

    def flatbuffer(self, precision: str) -> bytes:
        return (self.folder / f"{precision}.tflite").read_bytes()

    def input(self, precision: str) -> bytes:
        return np.load(self.folder / f"{precision}.npy").tobytes()


@pytest.fixture(scope="module")
def models(shared_folder) -> Models:
    def make(folder: Path) -> None:
        network = random_network(steps=7, features=5, units=20, classes=6)
        windows = random_windows(network)
        for precision in EXACT:
            target = "litert-2.1" if precision == "int4" else "any"
            flatbuffer = compile_network(network, windows, precision=precision, target=target)
            (folder / f"{precision}.tflite").write_bytes(flatbuffer)
            graph = read_graph(flatbuffer)
            tensor = graph.tensors[graph.inputs[0]]
            np.save(folder / f"{precision}.npy", _input(tensor, windows[:1]))

    return Models(made_once(shared_folder / "wheels-models", make))


def _input(tensor, window: np.ndarray) -> np.ndarray:
    affine = tensor.quantization
    if affine is None:
        return window.astype(np.float32)
    limits = np.iinfo(tensor.dtype)
    values = np.round(window / affine.scale[0]) + affine.zero_point
    return np.clip(values, limits.min, limits.max).astype(tensor.dtype)


@pytest.fixture(scope="module")
def expected(models) -> dict[str, str]:
    """Precision -> the output here, the same in all kernels."""
    found = {name: {*by_kernels.values()} for name, by_kernels in outputs(models.folder).items()}
    assert {name: len(values) for name, values in found.items()} == dict.fromkeys(EXACT, 1)
    return {name: values.pop() for name, values in found.items()}


def skip_unless_emulated(make, *arguments):
    """What `make` returns. Skips the test where the machine's system cannot be had."""
    if platform.machine() != "x86_64":
        pytest.skip(f"the wheels are compared with x86-64, and this is {platform.machine()}")
    try:
        return make(*arguments)
    except EngineError as error:
        pytest.skip(str(error))


def machine_of(cpu: str, folder: Path, shared: Path) -> Machine:
    """The board with that CPU. One process at a time fills the cache."""
    with FileLock(shared / "wheels-downloads.lock"):
        return skip_unless_emulated(arm_machine, cpu, folder)


@pytest.mark.parametrize("name", LINUX)
def test_a_wheel_holds_the_same_files_as_every_other(platform_wheels, name):
    with zipfile.ZipFile(platform_wheels[name]) as archive:
        names = {item for item in archive.namelist() if ".dist-info/" not in item}
        note = json.loads(archive.read(f"{LIBRARY_FOLDER.as_posix()}/{NOTE}"))
    made = {f"{LIBRARY_FOLDER.as_posix()}/{file}" for file in (NOTE, note["library"])}
    assert names == package_files() | made
    assert note["failure"] is None
    assert not note["left_out"]


def test_pip_takes_the_wheel_for_glibc_2_17_on_this_machine(platform_wheels, models, expected, tmp_path):
    site = tmp_path / "site"
    install([sys.executable, "-m", "pip"], platform_wheels[f"glibc-{platform.machine()}"], site)
    found = run_child([sys.executable], {"PYTHONPATH": str(site)}, models)
    assert {name: {*by_kernels.values()} for name, by_kernels in found.items()} == {
        name: {value} for name, value in expected.items()
    }


@pytest.mark.parametrize(("name", "cpu"), GLIBC)
def test_pip_on_the_board_takes_the_wheel_and_it_runs(
    platform_wheels, models, expected, shared_folder, tmp_path, name, cpu
):
    machine, site = machine_of(cpu, tmp_path / "root", shared_folder), tmp_path / "site"
    # Started without the script of `machine.python`: pip looks into the file for a Python of ARMv7.
    runner = Path(pip.__file__).with_name("__pip-runner__.py")
    install([*machine.command(), str(runner)], platform_wheels[name], site)
    library = site / LIBRARY_FOLDER / "libedge_rnn.so"
    if board_of(cpu).architecture == "armv6l":
        claim_soft_float(library)
    found = run_child([str(machine.python)], machine.environment(site), models)
    for precision, output in expected.items():
        assert found[precision] == dict.fromkeys(in_sources(cpu), output), precision


def claim_soft_float(library: Path) -> None:
    """Change what the file says about floats, as glibc of another convention refuses to load it.

    Debian's Python for ARMv6 passes floats in other registers, but our functions take and return none.
    The code stays as it is.
    """
    content = bytearray(library.read_bytes())
    (flags,) = struct.unpack_from("<I", content, FLAGS_AT)
    assert flags & HARD_FLOAT
    struct.pack_into("<I", content, FLAGS_AT, flags & ~HARD_FLOAT | SOFT_FLOAT)
    library.write_bytes(content)


def in_sources(cpu: str) -> list[str]:
    """The CPU's sets of kernels that are in the sources."""
    return [name for name in KERNELS[cpu] if (SOURCES / f"kernels_{name.replace('-', '_')}.c").exists()]


def install(command: list[str], wheel: Path, site: Path) -> None:
    """Let pip choose by the wheel's tags."""
    options = ["--no-index", "--no-deps", "--no-compile", "--disable-pip-version-check", "--quiet"]
    result = subprocess.run(
        [*command, "install", *options, "--target", str(site), str(wheel)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        env=without_this_python(),
    )
    assert result.returncode == 0, result.stderr


def run_child(python: list[str], environment: dict[str, str], models: Models) -> dict:
    result = subprocess.run(
        [*python, str(HERE / "native_child.py"), str(models.folder)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        cwd=models.folder,
        env={**without_this_python(), **environment},
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@dataclass(frozen=True)
class MuslMachine:
    """Debian's musl of an architecture, and how its programs are started and compiled."""

    command: tuple[str, ...]
    """The start of a command."""
    target: tuple[str, ...]
    """Options of zig."""


def musl_machine(name: str, cpu: str, shared: Path) -> MuslMachine:
    """The system for a platform's wheel. Raises EngineError if it cannot be had."""
    architecture = ARCHITECTURES.get(name.partition("-")[2])
    debian = architecture.debian if architecture else "amd64"
    with FileLock(shared / "wheels-downloads.lock"):
        root = cached_folder(
            f"musl-{debian}", (SUITE, debian, "musl"), lambda to: unpack(("musl",), debian, to)
        )
        if architecture is None:
            return MuslMachine((str(next(root.glob("lib/ld-musl-*"))),), LINUX[name].target)
        start = (*emulator(architecture.program), "-cpu", cpu, "-L", str(root))
    if debian == "armel":
        return MuslMachine(start, ("-target", "arm-linux-musleabi", "-mcpu=arm1176jzf_s+soft_float"))
    return MuslMachine(start, LINUX[name].target)


@pytest.mark.parametrize(("name", "cpu"), MUSL)
def test_the_wheel_for_musl_runs(platform_wheels, models, expected, shared_folder, tmp_path, name, cpu):
    machine = skip_unless_emulated(musl_machine, name, cpu, shared_folder)
    with zipfile.ZipFile(platform_wheels[name]) as archive:
        library = archive.extract((LIBRARY_FOLDER / "libedge_rnn.so").as_posix(), tmp_path)
    program = tmp_path / "run_plan"
    compiler = [*ZIG, *machine.target, "-O2", "-dynamic", f"-I{SOURCES}", str(HERE / "run_plan.c")]
    subprocess.run([*compiler, "-o", str(program)], check=True, timeout=SECONDS)
    for precision, output in expected.items():
        window = tmp_path / f"{precision}.bin"
        window.write_bytes(models.input(precision))
        for kernels in in_sources(cpu):
            plan = tmp_path / f"{precision}-{kernels}.plan"
            graph = read_graph(models.flatbuffer(precision))
            plan.write_bytes(make_plan(graph, LAYOUTS[kernels]).data.tobytes())
            found = subprocess.run(
                [*machine.command, program, library, kernels, plan, window],
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
            )
            assert (found.returncode, found.stdout.strip()) == (0, output), (kernels, found.stderr)
    shutil.rmtree(tmp_path, ignore_errors=True)
