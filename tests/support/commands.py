"""What tests share: the command line in a subprocess, the engines, and the folder with MNIST's files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from convert.targets.precision import offered
from convert.targets.target import TARGETS
from edge_runtime.engines.engine import installed_engines, usable_engines

ROOT = Path(__file__).parents[2]
CHILDREN = ROOT / "tests" / "support" / "children"
"""Scripts that load TensorFlow, in processes of their own."""
ENGINES = installed_engines()
"""The TFLite engines that are installed."""
PROVING = usable_engines()
"""The engines that a proof runs in: native, where it has a library, and ENGINES."""
SEED = 0
OFFERED = offered(TARGETS["any"])
"""Precisions of the files that every engine loads and computes correctly."""


def mnist_folder() -> Path | None:
    """The folder with MNIST's files: $EDGE_RNN_DATA, or shared/ beside the project."""
    for folder in (os.environ.get("EDGE_RNN_DATA"), ROOT.parent / "shared" / "data"):
        if folder and (Path(folder) / "mnist").is_dir():
            return Path(folder) / "mnist"
        if folder and any(Path(folder).glob("train-images-idx3-ubyte*")):
            return Path(folder)
    return None


def edge_rnn(*arguments: object, **options) -> subprocess.CompletedProcess[str]:
    """Run the real command in a subprocess."""
    command = [str(Path(sys.executable).with_name("edge-rnn")), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=900, **options)


SHADOWS = (
    *("ai_edge_litert", "click", "convert", "dataclasses", "json", "keras", "numpy"),
    *("random", "signal", "subprocess", "tensorflow", "tflite_runtime", "train"),
    # Before Python 3.11, `python -m` itself imports these, before any code of edge-rnn runs.
    *(("contextlib", "typing") if sys.version_info >= (3, 11) else ()),
)
"""Modules that edge-rnn, its engines or numpy import. A user may have given a file such a name."""


def shadowed(folder: Path) -> Path:
    """`folder`, created with a file for each of SHADOWS, which raises when it is imported."""
    folder.mkdir()
    for name in SHADOWS:
        (folder / f"{name}.py").write_text("raise ImportError('from the working directory')\n")
    return folder


def as_module(*arguments: object, **options) -> subprocess.CompletedProcess[str]:
    """Run `python -m edge_runtime`, which Python starts with the working directory in sys.path."""
    command = [sys.executable, "-m", "edge_runtime", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=900, **options)


def succeed(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def loaded_by(code: str) -> set[str]:
    """Top-level modules that `code` loads in a fresh interpreter, beyond those of its start-up."""
    show = "print('\\n'.join({*sys.modules} - before))"
    program = f"import sys\nbefore = {{*sys.modules}}\n{code}\n{show}"
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in output.stdout.split()}
