"""The Raspberry Pis that qemu emulates, and what their kernels say about them.

Engines choose kernels not only by what the CPU can do, which qemu emulates, but also by the model of the
CPU that /proc/cpuinfo names. qemu would show the host's file instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CORES = 4


@dataclass(frozen=True)
class Board:
    """A Raspberry Pi with one of its systems."""

    name: str
    cpu: str
    """The name for qemu's -cpu."""
    architecture: str
    """The system's architecture, as `uname -m` prints it."""
    part: str
    variant: str
    revision: str
    features: str
    """CPU part, variant, revision and Features of /proc/cpuinfo."""

    @property
    def cpuinfo(self) -> str:
        """The content of /proc/cpuinfo."""
        core = (
            f"BogoMIPS\t: 108.00\nFeatures\t: {self.features}\nCPU implementer\t: 0x41\n"
            f"CPU architecture: {'8' if self.architecture == 'aarch64' else '7'}\n"
            f"CPU variant\t: {self.variant}\nCPU part\t: {self.part}\nCPU revision\t: {self.revision}\n"
        )
        cores = "\n".join(f"processor\t: {number}\n{core}" for number in range(CORES))
        return f"{cores}\nModel\t\t: {self.name}\n"

    def write_files(self, root: Path) -> None:
        """Write what the board's kernel shows under /proc and /sys, into the folder `root`."""
        proc, cores = root / "proc", root / "sys" / "devices" / "system" / "cpu"
        (proc / "device-tree").mkdir(parents=True)
        cores.mkdir(parents=True)
        (proc / "cpuinfo").write_text(self.cpuinfo)
        (proc / "device-tree" / "model").write_text(f"{self.name}\0")
        for name in ("online", "possible", "present"):
            (cores / name).write_text(f"0-{CORES - 1}\n")


_ARMV8 = "fp asimd evtstrm crc32 cpuid"
_ARMV8_2 = (
    "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"
)
_ARMV7 = "half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt vfpd32 lpae evtstrm"

BOARDS = (
    Board("Raspberry Pi 2 Model B", "cortex-a7", "armv7l", "0xc07", "0x0", "5", _ARMV7),
    Board("Raspberry Pi 3 Model B", "cortex-a53", "aarch64", "0xd03", "0x0", "4", _ARMV8),
    Board("Raspberry Pi 4 Model B", "cortex-a72", "aarch64", "0xd08", "0x0", "3", _ARMV8),
    Board("Raspberry Pi 5 Model B", "cortex-a76", "aarch64", "0xd0b", "0x4", "1", _ARMV8_2),
)


ZERO = Board(
    "Raspberry Pi Zero",
    "arm1176",
    "armv6l",
    "0xb76",
    "0x0",
    "7",
    "half thumb fastmult vfp edsp java tls",
)
"""No TFLite engine has a wheel for it: it runs models in our own engine."""


def board_of(cpu: str) -> Board:
    """The board with that CPU."""
    return next(board for board in (*BOARDS, ZERO) if board.cpu == cpu)
