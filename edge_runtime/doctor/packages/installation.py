"""What `pip install edge_rnn-*.whl` brings on a system, and which engines can run there at all.

Versions are compared as tuples of numbers. edge_runtime.doctor.packages.wheels says why not with
`packaging`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from edge_runtime.doctor.packages.own_wheel import own_wheel
from edge_runtime.doctor.packages.pip import Pip
from edge_runtime.doctor.packages.wheels import Release, libcs, newest, releases
from edge_runtime.doctor.system import GLIBC, System
from edge_runtime.engines.engine import ENGINES

OLDEST_PYTHON = (3, 9)
"""The oldest Python that edge-rnn runs on (requires-python in pyproject.toml)."""

TFLITE_RUNTIME_MACHINES = ("x86_64", "aarch64", "armv7l")


@dataclass(frozen=True)
class Requirement:
    """The releases of an engine that a version range allows."""

    package: str
    oldest: tuple[int, ...]
    below: tuple[int, ...]
    text: str
    """The requirement in pip's syntax."""

    def allows(self, release: Release) -> bool:
        """Whether `release` is one of them."""
        return self.oldest <= release.numbers < self.below


TFLITE_RUNTIME = Requirement("tflite-runtime", (2, 14, 0), (2, 14, 1), "tflite-runtime==2.14.0")


def required_engine(system: System) -> Requirement | None:
    """The TFLite engine that edge-rnn's wheel requires, by the markers of its dependencies
    (pyproject.toml); None where it requires none."""
    machine = system.machine or system.architecture
    tflite = system.libc and system.python < (3, 12) and machine in TFLITE_RUNTIME_MACHINES
    return TFLITE_RUNTIME if tflite else None


@dataclass(frozen=True)
class Installation:
    """What pip finds on a system; None where it finds no wheel."""

    requirement: Requirement | None
    engine: Release | None
    numpy: Release | None

    @property
    def succeeds(self) -> bool:
        """Whether pip finds the TFLite engine that edge-rnn's wheel requires, or it requires none."""
        return self.engine is not None or self.requirement is None

    def __str__(self) -> str:
        """One clause."""
        engine = [] if self.requirement is None else [str(self.engine or self._lacking())]
        return ", ".join([*engine, str(self.numpy or "no wheel of numpy")])

    def _lacking(self) -> str:
        return f"no wheel of {self.requirement.text}" if self.requirement else ""

    def to_json(self) -> dict[str, Any]:
        """Versions; None where there is no wheel."""
        return {
            "requirement": self.requirement and self.requirement.text,
            "engine": self.engine and self.engine.pinned,
            "numpy": self.numpy and self.numpy.version,
        }


def installation(system: System) -> Installation:
    """What pip would install with edge-rnn on `system`."""
    requirement = required_engine(system)
    if requirement is None:
        return Installation(None, None, newest_numpy("numpy", system))
    engine = newest(requirement.package, system, requirement.allows)
    return Installation(requirement, engine, newest_numpy("numpy<2", system))


def newest_numpy(requirement: str, system: System) -> Release | None:
    """The newest numpy with a wheel for `system`; `requirement` is "numpy" or "numpy<2"."""
    limited = requirement == "numpy<2"
    return newest("numpy", system, lambda release: not limited or release.numbers < (2,))


def available_engines(system: System) -> tuple[Release, ...]:
    """For each engine the newest release that runs on `system` and computes correctly.

    The release that pip installs with edge-rnn is preferred to a newer one.
    """
    asked = installation(system).engine
    found = []
    for package in ENGINES:
        if asked and asked.package == package and asked.runs_on(system):
            found.append(asked)
            continue
        release = newest(package, system, lambda item: item.verified and item.runs_on(system))
        if release:
            found.append(release)
    return tuple(found)


def other_python(system: System, package: str | None = None) -> System | None:
    """The same system with the newest Python for which pip finds all that edge-rnn needs.

    It has an engine as well: the TFLite engine `package`, or, if that is None, any engine but numpy.
    """
    tags = {tag for item in releases("numpy") for tag in item.wheels}
    minors = {int(found.group(1)) for found in map(_MINOR.match, tags) if found}
    for minor in sorted(minors, reverse=True):
        other = System((3, minor), system.architecture, system.libc, system.libc_version)
        if other.python >= OLDEST_PYTHON and _is_complete(other, package):
            return other
    return None


def _is_complete(system: System, package: str | None) -> bool:
    plan = installation(system)
    if not plan.succeeds or not (plan.numpy or Pip(system).takes_piwheels):
        return False
    names = [item.package for item in available_engines(system)]
    return package in names if package else bool(names or own_wheel(system))


_MINOR = re.compile(r"cp3(\d+)-")


def why_not(package: str, system: System, requirement: Requirement | None = None) -> str:
    """A clause: why none of the required releases of the package runs on `system`."""
    wanted = [item for item in releases(package) if requirement is None or requirement.allows(item)]
    taken = next((item for item in wanted if item.wheel_for(system)), None)
    if taken:
        return f"{taken.version} {real_need(taken, system)}"
    tags = [tag.split("-") for item in wanted for tag in item.wheels]
    parts = [(python, *part) for python, _, platform in tags for part in libcs(platform)]
    same = [part for part in parts if part[3] == system.architecture]
    if not same:
        return f"it has no wheel for {system.architecture}"
    alike = [part for part in same if part[1] == system.libc]
    if not alike:
        return f"it has no wheel for {system.libc or 'this system'}"
    least = [part[2] for part in alike if part[0] == system.tag]
    if not least:
        minors = sorted({int(part[0][len("cp3") :]) for part in alike})
        return f"its wheels for {system.architecture} are for CPython 3.{minors[0]} to 3.{minors[-1]}"
    needs = f"{system.libc} {_dotted(min(least))}"
    return f"its wheel for {system.tag} on {system.architecture} needs {needs}"


def real_need(release: Release, system: System) -> str:
    """A clause: the glibc of a release whose tags ask for less than it needs."""
    needed = _dotted(release.glibc[system.architecture])
    return f"needs {GLIBC} {needed}, although its wheel's name asks for less"


def _dotted(numbers: tuple[int, int]) -> str:
    return ".".join(map(str, numbers))
