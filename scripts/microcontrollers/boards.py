"""The microcontrollers that qemu emulates: how to compile for each, its memory, and how to start it."""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True)
class Microcontroller:
    """A core, and the board of qemu that has it. Most boards have more memory than chips have."""

    core: str
    machine: str
    """The name for qemu's -machine."""
    compiler: str
    """The prefix of the compiler's programs."""
    flags: tuple[str, ...]
    """What the compiler has to know about the core."""
    flash: tuple[int, int]
    ram: tuple[int, int]
    """Address and size."""
    mark: str
    """The bytes of BOARD_MARK() of board.h, in hexadecimal."""

    @property
    def emulator(self) -> tuple[str, ...]:
        """The program of qemu and its options up to the program that runs on the board."""
        if self.compiler == RISCV:
            return ("qemu-system-riscv32", "-machine", self.machine, "-bios", "none")
        return ("qemu-system-arm", "-machine", self.machine)

    @property
    def start(self) -> str:
        """The file with the start-up code."""
        return "start_riscv.c" if self.compiler == RISCV else "start_cortex_m.c"

    @property
    def libraries(self) -> tuple[str, ...]:
        """For the linker. Debian has no newlib for RISC-V; start_riscv.c has what is needed of it."""
        return ("-lgcc",) if self.compiler == RISCV else ("-lc", "-lgcc")


ARM, RISCV = "arm-none-eabi", "riscv64-unknown-elf"
_DBG, _MOV, _SLTI = "aff3f580", "c946", "1320c007"
_MPS2 = ((0x0000_0000, 4 * MIB), (0x2000_0000, 4 * MIB))
_VIRT = ((0x8000_0000, 16 * MIB), (0x8100_0000, 4 * MIB))


def _arm(core: str, machine: str, memory: tuple, *flags: str, mark: str = _DBG) -> Microcontroller:
    return Microcontroller(core, machine, ARM, ("-mthumb", *flags), *memory, mark)


MICROCONTROLLERS = (
    _arm(
        "Cortex-M0",
        "microbit",
        ((0, 256 * KIB), (0x2000_0000, 16 * KIB)),
        "-mcpu=cortex-m0",
        mark=_MOV,
    ),
    _arm("Cortex-M3", "mps2-an385", _MPS2, "-mcpu=cortex-m3"),
    _arm("Cortex-M4F", "mps2-an386", _MPS2, "-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"),
    _arm("Cortex-M7", "mps2-an500", _MPS2, "-mcpu=cortex-m7", "-mfloat-abi=hard", "-mfpu=fpv5-d16"),
    _arm(
        "Cortex-M33",
        "mps2-an505",
        ((0x1000_0000, 4 * MIB), (0x3800_0000, 4 * MIB)),
        "-mcpu=cortex-m33",
        "-mfloat-abi=hard",
        "-mfpu=fpv5-sp-d16",
    ),
    _arm(
        "Cortex-M55",
        "mps3-an547",
        ((0x0000_0000, 512 * KIB), (0x2000_0000, 512 * KIB)),
        "-mcpu=cortex-m55",
        "-mfloat-abi=hard",
    ),
    Microcontroller("RV32IMAC", "virt", RISCV, ("-march=rv32imac", "-mabi=ilp32"), *_VIRT, _SLTI),
    Microcontroller("RV32IMAFC", "virt", RISCV, ("-march=rv32imafc", "-mabi=ilp32f"), *_VIRT, _SLTI),
)
"""From the smallest. RISC-V without and with an FPU are those of ESP32-C3 to C6 and of ESP32-P4."""


def microcontroller(core: str) -> Microcontroller:
    """The one with that core."""
    return next(item for item in MICROCONTROLLERS if item.core == core)
