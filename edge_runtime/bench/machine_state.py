"""The state of the machine that decides its speed: CPU, governor, frequency, temperature, throttling.

Linux shows these as files, but not all of them everywhere. A missing one is None, printed as "unknown".
Sources: the kernel's Documentation/ABI/testing (sysfs-devices-system-cpu, sysfs-class-thermal), and for
the Raspberry Pi the documentation of `vcgencmd get_throttled`.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.host.processor import read_processor, usable_cores

_CPU = "sys/devices/system/cpu"
_PI_FLAGS = "sys/devices/platform/soc/soc:firmware/get_throttled"
_PI_BITS = ("under-voltage", "frequency capped", "throttled", "soft temperature limit")
"""Bits 0 to 3: now. Bits 16 to 19: the same, at some time since the start."""
_PI_SINCE_START = 16
_COOLS_THE_CPU = ("cpufreq", "processor", "cpuidle")
"""Words in the type of a cooling device that slows the CPU down."""


@dataclass(frozen=True)
class MachineState:
    """The machine at one moment."""

    cpu: str
    """The board's and the CPU's names."""
    cores: int
    """Number of cores that this process may use."""
    governor: str | None
    """The governor of the first core (cpufreq), e.g. "ondemand"."""
    frequency_mhz: float | None
    max_frequency_mhz: float | None
    temperature_c: float | None
    """Temperature of the hottest thermal zone, in degrees Celsius."""
    throttling: tuple[str, ...] | None
    """Reasons that slow the CPU down, or have done so since the start; () for none."""

    def __str__(self) -> str:
        """One line."""
        return f"{self.cpu}, {self.cores} core{'s' * (self.cores != 1)}; {self.conditions}"

    @property
    def conditions(self) -> str:
        """The part that may change from one moment to the next, as text."""
        throttling = None if self.throttling is None else ", ".join(self.throttling) or "none"
        temperature = None if self.temperature_c is None else f"{self.temperature_c:.1f} C"
        known = {
            "governor": self.governor,
            "frequency": self._frequency(),
            "temperature": temperature,
            "throttling": throttling,
        }
        return ", ".join(f"{name} {value or 'unknown'}" for name, value in known.items())

    def _frequency(self) -> str | None:
        if self.frequency_mhz is None:
            return None
        top = "" if self.max_frequency_mhz is None else f" of {self.max_frequency_mhz:.0f}"
        return f"{self.frequency_mhz:.0f}{top} MHz"


def read_machine_state(root: Path = Path("/")) -> MachineState:
    """The state now; `root` is the folder that contains proc and sys."""
    frequencies = root / _CPU / "cpu0" / "cpufreq"
    return MachineState(
        cpu=str(read_processor(root)),
        cores=usable_cores(),
        governor=_text(frequencies / "scaling_governor"),
        frequency_mhz=_scaled(frequencies / "scaling_cur_freq", 1000),
        max_frequency_mhz=_scaled(frequencies / "cpuinfo_max_freq", 1000),
        temperature_c=_temperature(root),
        throttling=_throttling(root),
    )


def _temperature(root: Path) -> float | None:
    zones = (root / "sys" / "class" / "thermal").glob("thermal_zone*/temp")
    values = [value for value in (_scaled(zone, 1000) for zone in zones) if value is not None]
    return max(values, default=None)


def _throttling(root: Path) -> tuple[str, ...] | None:
    """What any of the sources reports; None without a source."""
    sources = (_pi_flags(root), _cooling(root), _intel_count(root))
    known = [source for source in sources if source is not None]
    return tuple(text for source in known for text in source) if known else None


def _pi_flags(root: Path) -> list[str] | None:
    flags = _text(root / _PI_FLAGS) or _vcgencmd(root)
    try:
        bits = int(flags or "", 16)
    except ValueError:
        return None
    now = [name for k, name in enumerate(_PI_BITS) if bits >> k & 1]
    past = [name for k, name in enumerate(_PI_BITS) if bits >> (k + _PI_SINCE_START) & 1]
    return now + [f"{name} since the start" for name in past]


def _vcgencmd(root: Path) -> str | None:
    """The flags by the Raspberry Pi's own program, for kernels without the file."""
    program = shutil.which("vcgencmd") if root == Path("/") else None
    if program is None:
        return None
    result = subprocess.run([program, "get_throttled"], capture_output=True, text=True, check=False)
    return result.stdout.strip().partition("=")[2]


def _cooling(root: Path) -> list[str] | None:
    """Cooling devices that hold the CPU back at the moment."""
    found = None
    for device in (root / "sys" / "class" / "thermal").glob("cooling_device*"):
        kind = _text(device / "type") or ""
        state = _scaled(device / "cur_state", 1)
        if state is None or not any(word in kind.lower() for word in _COOLS_THE_CPU):
            continue
        found = found or []
        if state > 0:
            found.append(f"{kind} at {state:.0f} of {_text(device / 'max_state') or '?'}")
    return found


def _intel_count(root: Path) -> list[str] | None:
    counts = list(_counts(root))
    if not counts:
        return None
    return [f"{max(counts):.0f} times since the start"] if max(counts) else []


def _counts(root: Path) -> Iterator[float]:
    for file in (root / _CPU).glob("cpu[0-9]*/thermal_throttle/*_throttle_count"):
        value = _scaled(file, 1)
        if value is not None:
            yield value


def _text(path: Path) -> str | None:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return None


def _scaled(path: Path, divisor: float) -> float | None:
    """The number in the file divided by `divisor`; None without a file or a number."""
    try:
        return float(_text(path) or "") / divisor
    except ValueError:
        return None
