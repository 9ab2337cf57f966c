"""Emulated Raspberry Pis with our wheel installed, and what their engines compute; each is asked once.

x86 has a twin: an environment with the same versions of the same engines.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from convert.proof.environments import make_in, without_this_python
from convert.targets.precision import PRECISIONS
from edge_runtime.errors import EngineError
from scripts.arm_boards import BOARDS, board_of
from scripts.arm_root import AARCH64, arm_machine
from scripts.cached_folder import cached_folder
from tests.device.environments import python
from tests.support.commands import ROOT

CPUS = tuple(board.cpu for board in BOARDS)
X86 = "x86"
INTEGER = ("int8", "int16x8")
"""Precisions whose arithmetic is integer from the input to the logits."""
CHILD = Path(__file__).with_name("logits_child.py")
SECONDS = 900


@dataclass(frozen=True)
class Digits:
    """Real test digits, a model of each precision, and what the full model says of the digits."""

    name: str
    windows: Path
    full: np.ndarray
    models: dict[str, Path]


@dataclass(frozen=True)
class Computed:
    """What an engine computed of one model."""

    logits: np.ndarray | None
    said: str
    """By `verify`, or why there are no logits; empty with other than the default kernels."""


@dataclass(frozen=True)
class Device:
    """A virtual environment on a board, with the engines and the wheel."""

    folder: Path
    installed: str
    """What pip said."""

    def run(self, program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        """A program of the environment, as a user of the board starts it."""
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
    """The engines that there are for the board; of ai-edge-litert there is no 32-bit wheel.

    The numpy engine, slow when emulated, runs on one board of each architecture.
    """
    if board_of(cpu).architecture == "armv7l":
        return ("tflite-runtime", "numpy")
    return ("tflite-runtime", "ai-edge-litert", *(["numpy"] if cpu == "cortex-a72" else []))


def precisions_of(engine: str) -> tuple[str, ...]:
    """What the engine loads."""
    return tuple(name for name in PRECISIONS if (engine, name) != ("tflite-runtime", "int4"))


def kernels_of(cpu: str, engine: str, precision: str) -> tuple[str, ...]:
    """What is run: the reference kernels, too, where the default ones may differ from x86's."""
    may_differ = (*INTEGER, "float32") if cpu in ("cortex-a7", X86) else INTEGER
    worth = engine != "numpy" and precision in may_differ
    return ("default", "reference") if worth else ("default",)


class Boards:
    """The boards, made when they are asked for. EngineError says why one cannot be made here."""

    def __init__(self, folder: Path, wheel: Path, digits: Digits) -> None:
        self.digits = digits
        self._folder, self._wheel = folder, wheel
        self._devices: dict[str, Device | EngineError] = {}
        self._computed: dict[tuple[str, str], dict[str, Computed]] = {}

    def device(self, cpu: str) -> Device:
        """The board with that CPU."""
        if cpu not in self._devices:
            try:
                self._devices[cpu] = self._made(cpu)
            except EngineError as error:
                self._devices[cpu] = error
        device = self._devices[cpu]
        if isinstance(device, EngineError):
            raise device
        return device

    def computed(self, cpu: str, engine: str) -> dict[str, Computed]:
        """ "int8/default" -> what the board computed. All its engines run at the same time."""
        device = self.device(cpu)
        if (cpu, engine) not in self._computed:
            self._run_all(cpu, str(device.folder / "bin" / "python"), engines_of(cpu))
        return self._computed[cpu, engine]

    def on_x86(self, engine: str) -> dict[str, Computed]:
        """The same on x86."""
        if (X86, engine) not in self._computed:
            self._run_all(X86, _x86_python(), engines_of("cortex-a72"))
        return self._computed[X86, engine]

    def _made(self, cpu: str) -> Device:
        if platform.machine() != "x86_64":
            raise EngineError(f"the boards are compared with x86-64, and this is {platform.machine()}")
        machine = arm_machine(cpu, self._folder / cpu)
        folder = self._folder / f"{cpu}-device"
        subprocess.run([machine.python, "-m", "venv", "--without-pip", folder], check=True, timeout=300)
        (site,) = folder.glob("lib/python3.*/site-packages")
        (site / "engines.pth").write_text(f"{machine.site}\n")
        pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install"]
        # Without an index: what the wheel asks for on this architecture has to be there already.
        pip += ["--no-index", "--disable-pip-version-check", str(self._wheel)]
        result = subprocess.run(
            pip, capture_output=True, text=True, timeout=300, check=True, env=without_this_python()
        )
        return Device(folder, result.stdout)

    def _run_all(self, name: str, program: str, engines: tuple[str, ...]) -> None:
        with ThreadPoolExecutor(len(engines)) as pool:
            results = pool.map(lambda engine: self._run(name, program, engine), engines)
            for engine, result in zip(engines, results):
                self._computed[name, engine] = result

    def _run(self, name: str, program: str, engine: str) -> dict[str, Computed]:
        answer = self._folder / f"{name}-{engine}.npz"
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
        job = answer.with_suffix(".job.json")
        job.write_text(json.dumps({"engine": engine, "logits": str(answer), "runs": runs}))
        # On the board the installed wheel counts; of x86 only the engines.
        environment = without_this_python() | ({"PYTHONPATH": str(ROOT)} if name == X86 else {})
        result = subprocess.run(
            [program, str(CHILD), str(job)],
            env=environment,
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert result.returncode == 0, f"{name}, {engine}: {result.stderr}"
        said = json.loads(answer.with_suffix(".json").read_text())
        with np.load(answer) as logits:
            keys = [run["key"] for run in runs]
            return {key: Computed(logits.get(key), said.get(key, "")) for key in keys}


def _x86_python() -> str:
    """Python 3.11 with the versions that the boards have."""
    requirements = [wheel for wheel in AARCH64.wheels if not wheel.startswith("onnxruntime")]
    interpreter = python("3.11")
    if interpreter is None:
        raise EngineError("comparing the boards with x86 needs Python 3.11, which is not here")
    folder = cached_folder("x86_64", requirements, lambda to: make_in(to, interpreter, requirements))
    return str(folder / "bin" / "python")
