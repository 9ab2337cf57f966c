"""The commands that install packages, ready to be pasted into a shell."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from edge_runtime.doctor.python_facts import PythonFacts
from edge_runtime.doctor.system import KNOWN, System, parse_system

PIWHEELS = "https://www.piwheels.org/simple"
"""The index of wheels for 32-bit Raspberry Pi OS, where PyPI has none of numpy."""

PIWHEELS_PYTHONS = tuple(parse_system(name).python for name in KNOWN if name.endswith("-32"))
"""Pythons that piwheels builds for: only those of each Raspberry Pi OS."""

NUMPY_LIBRARIES = "sudo apt install libopenblas0"
"""Installs what the numpy of piwheels is linked with."""

OWN_WHEEL, OWN_SOURCE = "edge_rnn-*.whl", "edge_rnn-*.tar.gz"

REINSTALL = " --force-reinstall --no-cache-dir"
"""Options that make pip replace what is installed, even by the same version."""


@dataclass(frozen=True)
class Pip:
    """pip on this system or on another one, where the command is just `pip`."""

    system: System
    command: str = "pip"
    """The command that starts pip, with any commands that must run before it."""
    options: str = ""
    """Options of `pip install`."""
    uv: str = "uv"
    """The command that starts uv, once pip has installed it."""

    @classmethod
    def of(cls, python: PythonFacts) -> Pip:
        """pip for exactly this Python, whatever is active in the shell."""
        executable = shlex.quote(python.executable)
        command = f"{executable} -m pip"
        if not python.has_pip:
            # Debian's own Python comes without ensurepip.
            bring = "sudo apt install python3-pip" if python.managed else f"{executable} -m ensurepip"
            command = f"{bring} && {command}"
        options = " --break-system-packages" if python.managed else ""
        return cls(python.system, command, options, f"{executable} -m uv")

    def install(self, *requirements: str, flags: str = "") -> str:
        """The command that installs them; numpy comes from piwheels where PyPI has none."""
        words = " ".join(_quoted(item) for item in requirements)
        command = f"{self.command} install{self.options}{flags}"
        if any(_is_numpy(item) for item in requirements) and self.takes_piwheels:
            return f"{NUMPY_LIBRARIES} && {command} --extra-index-url {PIWHEELS} {words}"
        return f"{command} {words}"

    def install_bare(self, *requirements: str) -> str:
        """The command that installs edge-rnn's wheel alone, and then `requirements`."""
        first = f"{self.command} install{self.options} --no-deps {OWN_WHEEL}"
        return f"{first} && {self.install(*requirements)}"

    def reinstall_own(self, file: str) -> str:
        """The command that replaces edge-rnn alone by `file`, OWN_WHEEL or OWN_SOURCE."""
        return f"{self.command} install{self.options}{REINSTALL} --no-deps {file}"

    def uninstall(self, package: str) -> str:
        """The command that removes it."""
        return f"{self.command} uninstall{self.options} -y {package}"

    @property
    def takes_piwheels(self) -> bool:
        """Whether piwheels is made for this system."""
        architecture, python = self.system.architecture, self.system.python
        return architecture in ("armv6l", "armv7l") and python in PIWHEELS_PYTHONS


def _is_numpy(requirement: str) -> bool:
    return requirement in (OWN_WHEEL, OWN_SOURCE) or requirement.startswith("numpy")


def _quoted(requirement: str) -> str:
    return requirement if requirement in (OWN_WHEEL, OWN_SOURCE) else shlex.quote(requirement)
