"""An aarch64 Debian with Python 3.11 and the engines' wheels in a folder, to be run by qemu's user mode.

    python scripts/arm_root.py

prints the folder: $EDGE_RNN_CACHE/arm or edge-rnn/arm in the user's cache folder. It is made once, out
of Debian's packages (apt checks their signatures; nothing is installed) and wheels from PyPI. Needs
apt-get and dpkg, that is Debian or one of its kin, and the network; running it needs qemu-aarch64 of the
package qemu-user.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.errors import EngineError

SUITE = "bookworm"
PACKAGES = (
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

WHEELS = (
    "ai-edge-litert==2.1.6",  # 2.2 and newer crash under Debian's qemu 7.2
    "click==8.1.8",
    "numpy==1.26.4",
    "onnxruntime==1.20.1",
    "tflite-runtime==2.14.0",
)
PLATFORMS = ("2_17", "2_27", "2_28", "2_34")
"""Of manylinux, as the wheels are tagged; bookworm has glibc 2.36."""

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
EMULATOR = "qemu-aarch64"


@dataclass(frozen=True)
class ArmRoot:
    """A root that has been made."""

    folder: Path

    @property
    def site(self) -> Path:
        """Where the wheels are unpacked."""
        return self.folder / "site"

    def command(self, cpu: str, *qemu: str) -> list[str]:
        """What comes before the arguments of Python on an emulated `cpu` (cortex-a53, ...)."""
        system = self.folder / "system"
        python = str(system / "usr" / "bin" / "python3.11")
        return [EMULATOR, "-cpu", cpu, "-L", str(system), *qemu, python]

    def environment(self, *folders: Path) -> dict[str, str]:
        """For that command: these folders and the wheels on Python's path; the same at every start."""
        path = os.pathsep.join(str(item) for item in (*folders, self.site))
        fixed = {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONNOUSERSITE": "1"}
        return {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": path, **fixed}


def arm_root() -> ArmRoot:
    """The root in the cache, made when it is not there.

    Raises EngineError that names what is missing or what failed.
    """
    for program in (EMULATOR, "apt-get", "dpkg"):
        if shutil.which(program) is None:
            package = " (apt-get install qemu-user)" if program == EMULATOR else ""
            raise EngineError(f"an emulated ARM machine needs {program}, which is not here{package}")
    folder = _cache() / "arm"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            made = Path(temporary, "arm")
            _debian(made / "system", Path(temporary))
            _wheels(made / "site")
            made.rename(folder)
    return ArmRoot(folder)


def _cache() -> Path:
    cache = os.environ.get("EDGE_RNN_CACHE")
    if cache:
        return Path(cache).absolute()
    import platformdirs

    return Path(platformdirs.user_cache_dir("edge-rnn"))


def _debian(system: Path, temporary: Path) -> None:
    apt, debs = temporary / "apt", temporary / "debs"
    for name in ("lists/partial", "cache/archives/partial"):
        (apt / name).mkdir(parents=True)
    debs.mkdir()
    system.mkdir(parents=True)
    (apt / "status").touch()
    (apt / "sources.list").write_text(
        f"deb [signed-by={KEYRING}] http://deb.debian.org/debian {SUITE} main\n"
        f"deb [signed-by={KEYRING}] http://deb.debian.org/debian-security {SUITE}-security main\n"
    )
    settings = {
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "APT::Sandbox::User": "root",
        "Dir::Cache": str(apt / "cache"),
        "Dir::Etc::SourceList": str(apt / "sources.list"),
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": str(apt / "lists"),
        "Dir::State::Status": str(apt / "status"),
    }
    command = ["apt-get", *(f"-o{key}={value}" for key, value in settings.items()), "-qq"]
    _run([*command, "update"], debs)
    _run([*command, "download", *PACKAGES], debs)
    for package in sorted(debs.glob("*.deb")):
        _run(["dpkg", "-x", str(package), str(system)], debs)


def _wheels(site: Path) -> None:
    platforms = [f"--platform=manylinux_{tag}_aarch64" for tag in PLATFORMS]
    platforms += ["--platform=manylinux2014_aarch64"]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--target", str(site), "--no-deps", "--only-binary=:all:", "--python-version=3.11"]
    _run([*command, "--implementation=cp", *platforms, *WHEELS], Path.cwd())


def _run(command: list[str], folder: Path) -> None:
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if result.returncode:
        lines = result.stderr.strip().splitlines() or [f"exit code {result.returncode}"]
        raise EngineError(f"{command[0]} {command[-1]} failed: {lines[-1]}")


if __name__ == "__main__":
    try:
        print(arm_root().folder)
    except EngineError as error:
        sys.exit(f"Error: {error}")
