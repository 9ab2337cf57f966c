"""Debian's packages of any architecture, unpacked into a folder. Nothing is installed, and root is not
needed.

apt keeps its state in a folder of its own, so that the machine's lists and settings stay as they are. It
checks the signatures. This needs the network and apt-get and dpkg, as Debian and its derivatives have.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from edge_runtime.errors import EngineError
from edge_runtime.host.child_process import run_command

SUITE = "bookworm"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def unpack(packages: Iterable[str], architecture: str, folder: Path) -> None:
    """Download `packages` of a Debian `architecture` (amd64, arm64, armhf) and unpack them in `folder`.

    Dependencies are not followed. Raises EngineError that names what is missing or what failed.
    """
    for program in ("apt-get", "dpkg"):
        if shutil.which(program) is None:
            raise EngineError(f"unpacking Debian's packages needs {program}, which is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        debs = Path(name, "debs")
        debs.mkdir()
        command = ["apt-get", *_settings(Path(name), architecture), "-qq"]
        run([*command, "update"], debs)
        run([*command, "download", *packages], debs)
        for package in sorted(debs.glob("*.deb")):
            run(["dpkg", "-x", str(package), str(folder)], debs)


def own_architecture() -> str:
    """Debian's name of this machine's architecture."""
    return run(["dpkg", "--print-architecture"], Path.cwd()).strip()


def run(command: list[str], folder: Path) -> str:
    """What the command prints. Raises EngineError with the last line that it prints on failure."""
    try:
        ending = run_command(command, folder=folder)
    except OSError as error:
        raise EngineError(f"{command[0]} cannot be run: {error.strerror}") from None
    if not ending:
        raise EngineError(f"{command[0]} {command[-1]} failed: {ending}")
    return ending.output


def _settings(state: Path, architecture: str) -> list[str]:
    for name in ("lists/partial", "cache/archives/partial"):
        (state / name).mkdir(parents=True)
    (state / "status").touch()
    # Security updates are left out. None is needed, and their lists may change while apt reads them.
    source = f"deb [signed-by={KEYRING}] http://deb.debian.org/debian {SUITE} main\n"
    (state / "sources.list").write_text(source)
    settings = {
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
        "Dir::Cache": str(state / "cache"),
        "Dir::Etc::SourceList": str(state / "sources.list"),
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": str(state / "lists"),
        "Dir::State::Status": str(state / "status"),
    }
    return [f"-o{key}={value}" for key, value in settings.items()]
