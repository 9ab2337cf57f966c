"""Which wheels of the engines and of numpy PyPI has, and which of them pip takes on a system.

scripts/wheel_facts.py records the facts in wheel_facts.json. The rules are those of the platform tags in
the names of wheels: https://packaging.python.org/specifications/platform-compatibility-tags/

The library `packaging` knows these rules, but is not used, for three reasons. The doctor has to work
where an installation is broken, so it must not need a package that may be missing; pip's own copy of
`packaging` is private, and missing where uv made the environment. `packaging.tags` describes the running
interpreter, and the doctor also judges systems that it does not run on (--for). What remains of the
rules is short, and tests/unit/test_doctor_wheels.py holds it against pip itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Callable

from edge_runtime.doctor.system import GLIBC, MUSL, System

WHEEL_FACTS = Path(__file__).with_name("wheel_facts.json")

_LEGACY = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
"""PEP 600: what the older tags stand for."""

_PLATFORM = re.compile(r"(manylinux\d+|(?:many|musl)linux_(\d+)_(\d+))_(\w+)")


@dataclass(frozen=True)
class Release:
    """A release of a package, with its wheels for CPython on Linux."""

    package: str
    version: str
    wheels: tuple[str, ...]
    """Their tags, e.g. cp311-cp311-manylinux_2_34_aarch64."""
    numpy: str = ""
    """For an engine, the numpy that it runs with, as pip's requirement ("numpy" or "numpy<2")."""
    verified: bool = True
    """For an engine, whether it computes the trial model correctly. tflite-runtime does from 2.10 on."""
    glibc: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """For an engine, architecture -> the glibc that its wheels really need, whatever their tags say."""
    xnnpack: tuple[str, ...] = ()
    """For an engine, the architectures for which its wheels have XNNPACK."""

    def __str__(self) -> str:
        """As in `ai-edge-litert 2.3.0`."""
        return f"{self.package} {self.version}"

    @property
    def pinned(self) -> str:
        """pip's requirement for just this release."""
        return f"{self.package}=={self.version}"

    @property
    def numbers(self) -> tuple[int, ...]:
        """The version as numbers that can be compared."""
        return version_numbers(self.version)

    def wheel_for(self, system: System) -> str | None:
        """The tag of a wheel that pip takes on `system`, or None."""
        return next((tag for tag in self.wheels if fits(tag, system)), None)

    def runs_on(self, system: System) -> bool:
        """Whether pip takes one of its wheels on `system`, and the wheel finds the glibc it needs."""
        least = self.glibc.get(system.architecture, (0, 0)) if system.libc == GLIBC else (0, 0)
        return self.wheel_for(system) is not None and least <= system.libc_version


def version_numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: "2.14.0" and "2.14.0.post1" give (2, 14, 0)."""
    leading = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in leading.group().split(".")) if leading else ()


def libcs(platform: str) -> Iterator[tuple[str, tuple[int, int], str]]:
    """What each part of a platform tag asks for, as (libc, its least version, architecture)."""
    for part in platform.split("."):
        match = _PLATFORM.fullmatch(part)
        if match is None:
            continue
        name, major, minor, architecture = match.groups()
        least = _LEGACY.get(name) or (int(major), int(minor))
        yield MUSL if name.startswith(MUSL) else GLIBC, least, architecture


def fits(tag: str, system: System) -> bool:
    """Whether a wheel with that tag, python-abi-platform, is for `system`."""
    python, abi, platform = tag.split("-")
    return python == abi == system.tag and any(
        (libc, architecture) == (system.libc, system.architecture) and least <= system.libc_version
        for libc, least, architecture in libcs(platform)
    )


@lru_cache
def releases(package: str) -> tuple[Release, ...]:
    """Every recorded release, the newest first."""
    return tuple(_release(package, item) for item in _facts()["packages"][package])


def newest(
    package: str, system: System, wanted: Callable[[Release], bool] = lambda release: True
) -> Release | None:
    """The newest release that is `wanted` and has a wheel for `system`; None where there is none."""
    return next((item for item in releases(package) if wanted(item) and item.wheel_for(system)), None)


def date() -> str:
    """When the facts were recorded, e.g. 2026-11-24."""
    return str(_facts()["date"])


@lru_cache
def _facts() -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(WHEEL_FACTS.read_text("utf-8"))
    return facts


def _release(package: str, record: dict[str, Any]) -> Release:
    glibc = {name: (major, minor) for name, (major, minor) in record.get("glibc", {}).items()}
    lists = {name: tuple(record.get(name, ())) for name in ("wheels", "xnnpack")}
    return Release(package, **{**record, **lists, "glibc": glibc})
