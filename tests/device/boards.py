"""Emulated Raspberry Pis with our wheel, and the results of their engines, each computed once.

An environment on x86 has the same versions of the same engines.
"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from convert.proof.environments import make_in, without_this_python
from convert.targets.precision import PRECISIONS
from edge_runtime.engines.engine import OWN_ENGINES
from edge_runtime.errors import EngineError
from scripts.arm_boards import BOARDS, board_of
from scripts.arm_root import AARCH64, arm_machine
from scripts.cached_folder import cached_folder
from tests.device.environments import python
from tests.support.commands import ROOT
from tests.support.made_once import made_once

CPUS = tuple(board.cpu for board in BOARDS)

NIGHTLY_CPUS = ("cortex-a53",)
"""Boards of `make nightly` only: the A53 has the instructions of the A72."""

EVERY_CPU = tuple(
    pytest.param(cpu, marks=pytest.mark.nightly) if cpu in NIGHTLY_CPUS else cpu for cpu in CPUS
)
"""The values of `cpu` of a test that runs on all boards."""
X86 = "x86"
INTEGER = ("int8", "int16x8")
"""Precisions whose arithmetic is integer from the input to the logits."""
CHILD = Path(__file__).with_name("logits_child.py")
SECONDS = 900


@dataclass(frozen=True)
class Digits:
    """Real test digits, a model of each precision, and the full model's logits for the digits."""

    name: str
    windows: Path
    full: np.ndarray
    models: dict[str, Path]


@dataclass(frozen=True)
class Computed:
    """An engine's results for one model."""

    logits: np.ndarray | None
    said: str
    """The line of `verify`, or why there are no logits; empty for kernels other than the default."""


@dataclass(frozen=True)
class Device:
    """A virtual environment on a board, with the engines and the wheel."""

    folder: Path
    installed: str
    """The output of pip."""

    def run(self, program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment as a user of the board starts it."""
        command = [self.folder / "bin" / program, *map(str, arguments)]
        environment = {"PATH": str(self.folder / "bin"), "HOME": str(self.folder)}
        return subprocess.run(
            command,
            env=environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )


def engines_of(cpu: str) -> tuple[str, ...]:
    """The engines for the board. ai-edge-litert has no 32-bit wheel.

    The numpy engine is slow in the emulation, so it runs on one board of each architecture.
    """
    if board_of(cpu).architecture == "armv7l":
        return ("tflite-runtime", "numpy")
    return ("tflite-runtime", "ai-edge-litert", *(["numpy"] if cpu == "cortex-a72" else []))


def precisions_of(engine: str) -> tuple[str, ...]:
    """The precisions that the engine loads."""
    return tuple(name for name in PRECISIONS if (engine, name) != ("tflite-runtime", "int4"))


def kernels_of(cpu: str, engine: str, precision: str) -> tuple[str, ...]:
    """The kernels to run: also the reference kernels if the default ones may differ from x86's."""
    may_differ = (*INTEGER, "float32") if cpu in ("cortex-a7", X86) else INTEGER
    worth = engine not in OWN_ENGINES and precision in may_differ
    return ("default", "reference") if worth else ("default",)


def _x86_python() -> str:
    """Python 3.11 with the versions that the boards have."""
    requirements = [wheel for wheel in AARCH64.wheels if not wheel.startswith("onnxruntime")]
    interpreter = python("3.11")
    if interpreter is None:
        raise EngineError("comparing the boards with x86 needs Python 3.11, which is not installed")
    folder = cached_folder("x86_64", requirements, lambda to: make_in(to, interpreter, requirements))
    return str(folder / "bin" / "python")


class Boards:
    """The boards, made on request, and their results, in a folder that all test processes share.

    EngineError says why a board cannot be made.
    """

    def __init__(self, folder: Path, wheels: dict[str, Path], digits: Digits) -> None:
        """`wheels`: as scripts/build_wheels.py names the platforms."""
        self.digits = digits
        self._folder, self._wheels = folder, wheels
        self._refusals: dict[str, EngineError] = {}

    def device(self, cpu: str) -> Device:
        """The board with that CPU."""
        if cpu in self._refusals:
            raise self._refusals[cpu]
        try:
            place = made_once(self._folder / cpu, lambda folder: self._make(cpu, folder))
        except EngineError as error:
            self._refusals[cpu] = error
            raise
        return Device(place / "device", (place / "installed.txt").read_text())

    def computed(self, cpu: str, engine: str) -> dict[str, Computed]:
        """ "int8/default" -> what the board computed."""
        return self._computed(cpu, str(self.device(cpu).folder / "bin" / "python"), engine)

    def on_x86(self, engine: str) -> dict[str, Computed]:
        """The same on x86."""
        with self._downloads():
            program = _x86_python()
        return self._computed(X86, program, engine)

    def _downloads(self) -> FileLock:
        """The lock of the process that fills the cache folder."""
        return FileLock(self._folder / "downloads.lock")

    def _make(self, cpu: str, place: Path) -> None:
        if platform.machine() != "x86_64":
            raise EngineError(f"the boards are compared with x86-64, and this is {platform.machine()}")
        with self._downloads():
            machine = arm_machine(cpu, place / "root")
        folder = place / "device"
        command = [machine.python, "-m", "venv", "--without-pip", folder]
        subprocess.run(command, check=True, timeout=SECONDS)
        (site,) = folder.glob("lib/python3.*/site-packages")
        (site / "engines.pth").write_text(f"{machine.site}\n")
        pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install"]
        # Without an index: the wheel's requirements on this architecture have to be installed already.
        # Modules are compiled when they are imported, as compiling all of them takes longer.
        wheel = self._wheel_for(cpu, place)
        pip += ["--no-index", "--no-compile", "--disable-pip-version-check", str(wheel)]
        result = subprocess.run(
            pip, capture_output=True, text=True, timeout=SECONDS, check=True, env=without_this_python()
        )
        (place / "installed.txt").write_text(result.stdout)

    def _wheel_for(self, cpu: str, place: Path) -> Path:
        architecture = board_of(cpu).architecture
        wheel = self._wheels[f"glibc-{architecture}"]
        if architecture == "aarch64":
            return wheel
        # pip looks into sys.executable for a Python of ARMv7 before it takes a manylinux wheel. Here
        # that is a script, so the wheel gets a plain tag. test_wheels.py starts pip without a script.
        copy = Path(shutil.copy(wheel, place))
        command = [sys.executable, "-m", "wheel", "tags", "--remove"]
        subprocess.run([*command, f"--platform-tag=linux_{architecture}", copy], check=True)
        (tagged,) = place.glob("*.whl")
        return tagged

    def _computed(self, name: str, program: str, engine: str) -> dict[str, Computed]:
        place = made_once(
            self._folder / f"{name}-{engine}", lambda folder: self._run(name, program, engine, folder)
        )
        said = json.loads((place / "logits.json").read_text())
        keys = [run["key"] for run in json.loads((place / "job.json").read_text())["runs"]]
        with np.load(place / "logits.npz") as logits:
            return {key: Computed(logits.get(key), said.get(key, "")) for key in keys}

    def _run(self, name: str, program: str, engine: str, place: Path) -> None:
        runs = [
            {
                "key": f"{precision}/{kernels}",
                "model": str(self.digits.models[precision]),
                "windows": str(self.digits.windows),
                "kernels": kernels,
            }
            for precision in precisions_of(engine)
            for kernels in kernels_of(name, engine, precision)
        ]
        job, logits = place / "job.json", str(place / "logits.npz")
        job.write_text(json.dumps({"engine": engine, "logits": logits, "runs": runs}))
        # The board uses the installed wheel. The environment on x86 has only the engines.
        environment = without_this_python() | ({"PYTHONPATH": str(ROOT)} if name == X86 else {})
        result = subprocess.run(
            [program, str(CHILD), str(job)],
            env=environment,
            cwd=place,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert result.returncode == 0, f"{name}, {engine}: {result.stderr}"
