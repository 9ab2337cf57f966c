"""The state of the machine, read from made-up /proc and /sys of other machines."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from edge_runtime.bench.machine_state import read_machine_state

CPUFREQ = "sys/devices/system/cpu/cpu0/cpufreq"
PI_FLAGS = "sys/devices/platform/soc/soc:firmware/get_throttled"


def machine(root: Path, **files: str) -> Path:
    """A root folder with these files: path -> content."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def raspberry_pi(root: Path, flags: str) -> Path:
    return machine(
        root,
        **{
            "proc/cpuinfo": "processor\t: 0\nCPU part\t: 0xd08\n\nModel\t: Raspberry Pi 4\n",
            "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
            f"{CPUFREQ}/scaling_governor": "ondemand\n",
            f"{CPUFREQ}/scaling_cur_freq": "600000\n",
            f"{CPUFREQ}/cpuinfo_max_freq": "1800000\n",
            "sys/class/thermal/thermal_zone0/temp": "48200\n",
            "sys/class/thermal/thermal_zone1/temp": "51000\n",
            PI_FLAGS: flags,
        },
    )


def test_a_raspberry_pi_tells_everything(tmp_path):
    state = read_machine_state(raspberry_pi(tmp_path, "0\n"))
    assert state.cpu.startswith("Raspberry Pi 4 Model B Rev 1.4")
    assert (state.governor, state.frequency_mhz, state.max_frequency_mhz) == ("ondemand", 600, 1800)
    assert state.temperature_c == 51.0  # the hottest
    assert state.throttling == ()
    assert "frequency 600 of 1800 MHz, temperature 51.0 C, throttling none" in str(state)


def test_throttling_of_a_raspberry_pi_is_told_from_that_of_the_past(tmp_path):
    """0x50005 is under-voltage and throttled, now and before, by the documentation of vcgencmd."""
    state = read_machine_state(raspberry_pi(tmp_path, "50005\n"))
    assert state.throttling == (
        "under-voltage",
        "throttled",
        "under-voltage since the start",
        "throttled since the start",
    )


def test_a_machine_that_tells_nothing_is_unknown(tmp_path):
    state = read_machine_state(tmp_path)
    assert state.cpu == (platform.processor() or platform.machine())
    assert state.throttling is None
    assert state.conditions == (
        "governor unknown, frequency unknown, temperature unknown, throttling unknown"
    )


def test_what_cannot_be_read_as_a_number_is_unknown(tmp_path):
    root = machine(
        tmp_path,
        **{f"{CPUFREQ}/scaling_cur_freq": "<unknown>\n", PI_FLAGS: "no such property\n"},
    )
    state = read_machine_state(root)
    assert state.frequency_mhz is None
    assert state.throttling is None


def test_cooling_devices_count_only_where_they_slow_the_cpu_down(tmp_path):
    thermal = "sys/class/thermal/cooling_device"
    files = {
        f"{thermal}0/type": "cpufreq-cpu0\n",
        f"{thermal}0/cur_state": "0\n",
        f"{thermal}0/max_state": "4\n",
        f"{thermal}1/type": "pwm-fan\n",
        f"{thermal}1/cur_state": "2\n",
    }
    assert read_machine_state(machine(tmp_path, **files)).throttling == ()
    root = machine(tmp_path, **{f"{thermal}0/cur_state": "3\n"})
    assert read_machine_state(root).throttling == ("cpufreq-cpu0 at 3 of 4",)


def test_intels_counter(tmp_path):
    counter = "sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count"
    assert read_machine_state(machine(tmp_path, **{counter: "0\n"})).throttling == ()
    root = machine(tmp_path, **{counter: "12\n"})
    assert read_machine_state(root).throttling == ("12 times since the start",)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinities on this system")
def test_cores_are_those_that_may_be_used(tmp_path):
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert read_machine_state(tmp_path).cores == 1
    finally:
        os.sched_setaffinity(0, allowed)
