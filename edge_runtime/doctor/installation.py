"""What `pip install edge_rnn-*.whl` brings on a system, and which engines could be had there at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edge_runtime.doctor.system import System
from edge_runtime.doctor.wheels import Release, libcs, newest, releases
from edge_runtime.engine import ENGINES

OLDEST_PYTHON = (3, 9)
"""That edge-rnn runs on (pyproject.toml, requires-python)."""

TFLITE_RUNTIME_MACHINES = ("x86_64", "aarch64", "armv7l")


@dataclass(frozen=True)
class Requirement:
    """A release, or some releases, of an engine."""

    package: str
    oldest: tuple[int, ...]
    below: tuple[int, ...]
    text: str
    """As pip takes it."""

    def allows(self, release: Release) -> bool:
        """Whether it is one of them."""
        return self.oldest <= release.numbers < self.below


TFLITE_RUNTIME = Requirement("tflite-runtime", (2, 14, 0), (2, 14, 1), "tflite-runtime==2.14.0")
LITERT = Requirement("ai-edge-litert", (2, 1), (3,), "ai-edge-litert>=2.1,<3")


def required_engine(system: System) -> Requirement:
    """The engine that edge-rnn's wheel asks for, by the markers of its dependencies (pyproject.toml)."""
    machine = system.machine or system.architecture
    tflite = system.libc and system.python < (3, 12) and machine in TFLITE_RUNTIME_MACHINES
    return TFLITE_RUNTIME if tflite else LITERT


@dataclass(frozen=True)
class Installation:
    """What pip finds; truthy when it finds everything as a wheel."""

    requirement: Requirement
    engine: Release | None
    numpy: Release | None

    def __bool__(self) -> bool:
        return self.engine is not None and self.numpy is not None

    def __str__(self) -> str:
        """One clause."""
        engine = str(self.engine) if self.engine else f"no wheel of {self.requirement.text}"
        numpy = str(self.numpy) if self.numpy else "no wheel of numpy"
        return f"{engine}, {numpy}"

    def to_json(self) -> dict[str, Any]:
        """Versions; None where there is no wheel."""
        return {
            "requirement": self.requirement.text,
            "engine": self.engine and self.engine.pinned,
            "numpy": self.numpy and self.numpy.version,
        }


def installation(system: System) -> Installation:
    """What pip would install with edge-rnn on `system`."""
    requirement = required_engine(system)
    engine = newest(requirement.package, system, requirement.allows)
    limit = "numpy<2" if requirement is TFLITE_RUNTIME else "numpy"
    return Installation(requirement, engine, newest_numpy(limit, system))


def newest_numpy(requirement: str, system: System) -> Release | None:
    """The newest numpy with a wheel for `system`; `requirement` is "numpy" or "numpy<2"."""
    limited = requirement == "numpy<2"
    return newest("numpy", system, lambda release: not limited or release.numbers < (2,))


def available_engines(system: System) -> tuple[Release, ...]:
    """Of each engine the newest release that computes rightly and has a wheel for `system`.

    What edge-rnn's wheel asks for comes before a newer release of that engine.
    """
    requirement = required_engine(system)
    found = []
    for package in ENGINES:
        asked = requirement.allows if package == requirement.package else lambda release: False
        release = newest(package, system, asked) or newest(package, system, lambda item: item.verified)
        if release:
            found.append(release)
    return tuple(found)


def other_python(system: System) -> System | None:
    """The same system with the newest other Python for which pip finds all of edge-rnn's wheels."""
    minors = {
        int(tag[3 : tag.index("-")])
        for name in ENGINES
        for item in releases(name)
        for tag in item.wheels
    }
    for minor in sorted(minors, reverse=True):
        other = System((3, minor), system.architecture, system.libc, system.libc_version)
        plan = installation(other)
        if (3, minor) >= OLDEST_PYTHON and plan.engine:
            return other
    return None


def why_no_wheel(package: str, system: System, requirement: Requirement | None = None) -> str:
    """A clause: what is missing for `system` among the wheels of the package that are asked for."""
    wanted = [item for item in releases(package) if requirement is None or requirement.allows(item)]
    tags = [tag.split("-") for item in wanted for tag in item.wheels]
    fits = [(python, part) for python, _, platform in tags for part in libcs(platform)]
    here = [(python, part) for python, part in fits if part[2] == system.architecture]
    if not here:
        return f"it has no wheel for {system.architecture}"
    if not any(part[0] == system.libc for _, part in here):
        return f"it has no wheel for {system.libc or 'this system'}"
    least = [part[1] for python, part in here if python == system.tag and part[0] == system.libc]
    if not least:
        pythons = sorted({int(python[3:]) for python, _ in here})
        return f"its wheels for {system.architecture} are for CPython 3.{pythons[0]} to 3.{pythons[-1]}"
    asked = ".".join(map(str, min(least)))
    return f"its wheel for {system.tag} on {system.architecture} needs {system.libc} {asked}"
