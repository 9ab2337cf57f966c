"""The wheels of the platforms that the device tests emulate."""

from __future__ import annotations

from pathlib import Path

from scripts.build_wheels import PLATFORMS, Platform, build_wheels
from tests.support.made_once import made_once
from tests.support.sources import copy_of_sources

LINUX = {item.name: item for item in PLATFORMS if item.system == "linux"}
"""Those for macOS and Windows cannot be run here."""


def linux_wheels(shared: Path) -> dict[str, Path]:
    """Name of a platform -> its wheel, built once for all test processes."""

    def make(folder: Path) -> None:
        build_wheels(LINUX.values(), folder / "wheels", copy_of_sources(folder / "source"))

    folder = made_once(shared / "platform-wheels", make) / "wheels"
    return {item.name: _wheel_of(item, folder) for item in LINUX.values()}


def _wheel_of(platform: Platform, folder: Path) -> Path:
    (wheel,) = folder.glob(f"*-py3-none-{'.'.join(sorted(platform.tags))}.whl")
    return wheel
