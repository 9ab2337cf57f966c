"""The wheels of edge-rnn itself: which of them pip takes on a system, and the commands that install one.

Each holds the library of the engine native for one platform, and serves every Python from 3.9 on.
`make wheels` makes them.
"""

from __future__ import annotations

from edge_runtime.doctor.packages.wheels import libcs
from edge_runtime.doctor.system import GLIBC, MUSL, System

OWN_PLATFORMS = tuple(
    f"{libc}_{architecture}"
    for architecture in ("x86_64", "aarch64", "armv7l", "armv6l")
    for libc in ("linux" if architecture == "armv6l" else "manylinux_2_17", "musllinux_1_1")
)
"""The platforms that `make wheels` makes a wheel for, as their names spell them."""

COMPILER = {
    GLIBC: "sudo apt install gcc libc6-dev",
    MUSL: "sudo apk add gcc musl-dev",
    "": "xcode-select --install",
}
"""C library -> the command that installs a C compiler, with which pip compiles the library."""


def own_wheel(system: System) -> str | None:
    """The platform of the wheel with a library for `system`; None if there is none."""
    return next((name for name in OWN_PLATFORMS if _fits(name, system)), None)


def _fits(platform: str, system: System) -> bool:
    if platform == f"linux_{system.architecture}":  # no manylinux is defined for that architecture
        return system.libc == GLIBC
    return any(
        (libc, architecture) == (system.libc, system.architecture) and least <= system.libc_version
        for libc, least, architecture in libcs(platform)
    )
