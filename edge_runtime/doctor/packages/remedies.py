"""Commands that fix an engine or a numpy that does not work, by the wheels that a system has."""

from __future__ import annotations

import os
from dataclasses import dataclass

from edge_runtime.doctor.diagnosis import FALLBACK, fallback
from edge_runtime.doctor.packages.installation import (
    available_engines,
    installation,
    newest_numpy,
    other_python,
)
from edge_runtime.doctor.packages.own_wheel import COMPILER, own_wheel
from edge_runtime.doctor.packages.pip import OWN_SOURCE, OWN_WHEEL, REINSTALL, Pip
from edge_runtime.doctor.packages.wheels import Release, releases
from edge_runtime.doctor.system import System
from edge_runtime.engines.engine import ENGINES, NATIVE
from edge_runtime.native.library import LIBRARY_VARIABLE

IMAGER = "sudo apt install rpi-imager && rpi-imager  # choose a 64-bit Raspberry Pi OS"
"""Moves a device from a 32-bit system to a 64-bit one, for which the engines have more wheels."""


@dataclass(frozen=True)
class Remedies:
    """Commands for one system."""

    pip: Pip
    working: tuple[str, ...] = ()
    """Engines other than numpy that compute correctly."""

    @property
    def system(self) -> System:
        """The system that the commands are for."""
        return self.pip.system

    def numpy_for(self, engine: str, version: str | None) -> str:
        """The command that installs the newest numpy that the engine runs with."""
        return self.pip.install(_numpy(engine, version), flags=" --upgrade")

    def older_numpy(self) -> str:
        """The command that replaces a numpy that the processor cannot run: numpy 1 needs less."""
        older = newest_numpy("numpy<2", self.system) or self.pip.takes_piwheels
        return self.pip.install("numpy<2" if older else "numpy", flags=REINSTALL)

    def reinstall_numpy(self, engine: str, version: str | None) -> str:
        """The command that replaces a numpy with damaged files."""
        return self.pip.install(_numpy(engine, version), flags=REINSTALL)

    def install(self, release: Release) -> str:
        """The command that installs an engine, with a numpy for it."""
        return self.pip.install(release.pinned, release.numpy)

    def install_any(self) -> tuple[str, ...]:
        """Commands that install an engine on a system without one, or FALLBACK."""
        if not self.system.libc:  # nothing is recorded about such systems
            return (self.pip.install("ai-edge-litert"),)
        engines = sorted(available_engines(self.system), key=self._asked_for, reverse=True)
        if engines:
            return (self.install(engines[0]),)
        return (*self.with_other_python(), FALLBACK)

    def reinstall(self, engine: str, version: str | None) -> tuple[str, ...]:
        """Commands that replace an engine with damaged files, by the same engine or another one."""
        if engine == NATIVE:
            return self.own_library()
        best = next((item for item in available_engines(self.system) if item.package == engine), None)
        if best is None:
            return self.replace(engine, version)
        return (self.pip.install(best.pinned, best.numpy, flags=REINSTALL),)

    def replace(self, engine: str, version: str | None) -> tuple[str, ...]:
        """Commands that remove an engine that cannot work, or install another release or engine."""
        if engine == NATIVE:
            return (*self.own_library(), *self.other_engine(NATIVE))
        if set(self.working) - {engine}:
            return (self.pip.uninstall(engine),)
        others = [
            item
            for item in available_engines(self.system)
            if (item.package, item.version) != (engine, version)
        ]
        others.sort(key=lambda item: item.package != engine)
        return tuple(map(self.install, others)) or (*self.with_other_python(), FALLBACK)

    def own_library(self) -> tuple[str, ...]:
        """Commands that bring the library of NATIVE: in a wheel, or compiled on this system."""
        if LIBRARY_VARIABLE in os.environ:
            return (f"unset {LIBRARY_VARIABLE}",)
        wheel = [self.pip.reinstall_own(OWN_WHEEL)] if own_wheel(self.system) else []
        return (*wheel, f"{COMPILER[self.system.libc]} && {self.pip.reinstall_own(OWN_SOURCE)}")

    def compiled(self) -> str:
        """The command that installs edge-rnn where no wheel has its library: pip compiles it."""
        return f"{COMPILER[self.system.libc]} && {self.pip.install(OWN_SOURCE)}"

    def other_engine(self, engine: str) -> tuple[str, ...]:
        """The command that predicts with another engine that works; () where there is none."""
        others = [name for name in self.working if name != engine]
        return tuple(fallback(name) for name in others[:1])

    def with_other_python(self, engine: str | None = None) -> tuple[str, ...]:
        """The command that makes an environment with a Python that edge-rnn works with, in the TFLite
        engine `engine` or any; () when there is none."""
        other = other_python(self.system, engine)
        if other is None:
            return ()
        version = ".".join(map(str, other.python))
        make = f"{self.pip.uv} venv --seed --python {version} edge"
        fill = Pip(other, "edge/bin/pip").install(OWN_WHEEL, *([engine] if engine else []))
        return (f"{self.pip.install('uv')} && {make} && {fill}",)

    def _asked_for(self, release: Release) -> bool:
        return release == installation(self.system).engine


def _numpy(engine: str, version: str | None) -> str:
    """pip's requirement of a numpy for an engine; any numpy for a release that is not recorded."""
    known = (item for item in (releases(engine) if engine in ENGINES else ()) if item.version == version)
    return next((item.numpy for item in known), "numpy")
