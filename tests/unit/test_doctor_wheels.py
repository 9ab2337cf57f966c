"""Which wheels fit which system: the doctor's rules against pip's own, and what `--for` says."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import tomllib
from packaging import tags
from packaging.requirements import Requirement
from packaging.utils import parse_wheel_filename
from packaging.version import Version

from edge_runtime.doctor.packages.installation import available_engines, installation, required_engine
from edge_runtime.doctor.packages.own_wheel import OWN_PLATFORMS, own_wheel
from edge_runtime.doctor.packages.wheels import fits, newest, releases
from edge_runtime.doctor.python_facts import this_python
from edge_runtime.doctor.system import parse_system
from edge_runtime.engines.engine import ENGINES
from edge_runtime.errors import InputError
from scripts.build_wheels import PLATFORMS
from tests.support.commands import ROOT, edge_rnn, succeed
from tests.support.model_files import write_model
from tests.workstation.test_targets import pypi_answers

PACKAGES = (*ENGINES, "numpy")

SYSTEMS = (
    "raspios-trixie-64",
    "raspios-bookworm-64",
    "raspios-bookworm-32",
    "raspios-bullseye-64",
    "raspios-bullseye-32",
    "python3.10-x86_64-glibc2.26",
    "python3.12-x86_64-musl1.2",
    "python3.9-i686-glibc2.31",
)


WORKS = "edge-rnn works on that system with native "

NOTHING_WRONG = (
    "raspios-trixie-64",
    "raspios-bookworm-64",
    "python3.12-aarch64-glibc2.28",
    "python3.12-x86_64-musl1.2",
    "python3.15-x86_64-glibc2.41",
)


def test_facts_hold_the_engines_that_our_wheel_asks_for():
    for requirement in map(Requirement, dependencies()):
        if requirement.name in ENGINES:
            known = [Version(item.version) for item in releases(requirement.name)]
            assert any(version in requirement.specifier for version in known), requirement


def dependencies() -> list[str]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]


@pytest.mark.parametrize("architecture", ["x86_64", "aarch64", "armv7l", "armv6l", "i686"])
@pytest.mark.parametrize("minor", range(9, 16))
def test_what_our_wheel_asks_for_is_what_its_markers_say(minor, architecture):
    environment = {
        "python_version": f"3.{minor}",
        "sys_platform": "linux",
        "platform_machine": architecture,
    }
    asked = {
        item.name: item
        for item in map(Requirement, dependencies())
        if item.marker is None or item.marker.evaluate(environment)
    }
    system = parse_system(f"python3.{minor}-{architecture}-glibc2.36")
    required = required_engine(system)
    assert {name for name in ENGINES if name in asked} == ({required.package} if required else set())
    if required:
        ours = asked[required.package].specifier
        assert Requirement(required.text).specifier == ours
        for release in releases(required.package):
            assert required.allows(release) == (Version(release.version) in ours)
    numpy = installation(system).numpy
    assert numpy is None or Version(numpy.version) in asked["numpy"].specifier


def test_our_wheels_are_those_that_are_built():
    tags = {tag for item in PLATFORMS if item.system == "linux" for tag in item.tags}
    assert {tag for tag in tags if not tag.startswith("manylinux2014_")} == set(OWN_PLATFORMS)


@pytest.mark.parametrize("platform", OWN_PLATFORMS)
def test_our_wheels_are_for_the_systems_that_pip_takes_them_on(platform):
    """pip's own rules; the wheels of every architecture have one for glibc and one for musl."""
    architecture = platform.split("_", 1)[1].removeprefix("2_17_").removeprefix("1_1_")
    glibc, musl = (
        parse_system(f"python3.12-{architecture}-{libc}") for libc in ("glibc2.17", "musl1.1")
    )
    ours = {own_wheel(glibc), own_wheel(musl)}
    assert platform in ours
    assert None not in ours
    assert own_wheel(parse_system("python3.12-x86_64-glibc2.16")) is None
    for system in (glibc, musl):
        assert own_wheel(system) in {*platforms(system), f"linux_{architecture}"}


def test_on_this_machine_the_rules_are_those_of_packaging():
    supported, system = set(tags.sys_tags()), this_python().system
    wheels = [(item, tag) for name in PACKAGES for item in releases(name) for tag in item.wheels]
    fitting = 0
    for release, tag in wheels:
        name = f"{release.package.replace('-', '_')}-{release.version}-{tag}.whl"
        theirs = bool(parse_wheel_filename(name)[3] & supported)
        assert fits(tag, system) == theirs, name
        fitting += theirs
    assert 0 < fitting < len(wheels)


@pytest.fixture(scope="module")
def network():
    if not pypi_answers():
        pytest.skip("PyPI cannot be reached")


@pytest.mark.usefixtures("network")
@pytest.mark.parametrize("text", SYSTEMS)
def test_the_wheels_are_those_that_pip_takes(text, tmp_path):
    """pip's choice among the recorded releases, without later ones."""
    system = parse_system(text)
    newest_of = {name: newest(name, system) for name in PACKAGES}
    expected = {name: release.version for name, release in newest_of.items() if release}
    result, found = asked_of_pip(system, list(expected), tmp_path)
    assert found == expected, result.stderr


@pytest.mark.usefixtures("network")
@pytest.mark.parametrize(
    ("text", "package"),
    [
        ("raspios-trixie-64", "tflite-runtime"),
        ("raspios-bookworm-32", "numpy"),
        ("python3.12-x86_64-musl1.2", "ai-edge-litert"),
        ("python3.9-x86_64-glibc2.16", "ai-edge-litert"),
    ],
)
def test_where_there_is_no_wheel_pip_finds_none(text, package, tmp_path):
    system = parse_system(text)
    assert newest(package, system) is None
    result, found = asked_of_pip(system, [package], tmp_path)
    assert "No matching distribution found" in result.stderr
    assert not found


def asked_of_pip(system, packages, folder) -> tuple[subprocess.CompletedProcess[str], dict[str, str]]:
    """Package -> version that pip would install on the system, if pip finds them all."""
    report = folder / "report.json"
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--ignore-installed"]
    command += ["--no-deps", "--only-binary=:all:", "--target", str(folder), "--report", str(report)]
    command += [f"--python-version={'.'.join(map(str, system.python))}", "--implementation=cp"]
    # `pip install` compares Requires-Python with the running Python. The tags say the same.
    command += ["--ignore-requires-python", *(f"--platform={name}" for name in platforms(system))]
    command += [f"{name}<={releases(name)[0].version}" for name in packages]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    items = json.loads(report.read_text())["install"] if report.exists() else []
    return result, {item["metadata"]["name"]: item["metadata"]["version"] for item in items}


def platforms(system) -> list[str]:
    """Every platform tag of the system, as PEP 600 and PEP 656 define them."""
    major, minor = system.libc_version
    family, oldest = ("manylinux", 5) if system.libc == "glibc" else ("musllinux", 1)
    names = [f"{family}_{major}_{k}_{system.architecture}" for k in range(minor, oldest - 1, -1)]
    if system.libc == "glibc":
        names += [f"manylinux{year}_{system.architecture}" for year in (2014, 2010, 1)]
    return names


def test_an_engine_that_computes_wrong_is_not_recommended():
    """tflite-runtime 2.9 has wheels for this system and fails the trial, so 2.13 is taken."""
    system = parse_system("raspios-bullseye-32")
    (release,) = available_engines(system)
    assert release.verified
    assert any(not item.verified and item.wheel_for(system) for item in releases(release.package))


def test_facts_about_operators_are_those_of_the_converter():
    command = [sys.executable, "-m", "scripts.operator_facts", "--check"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("system", "code", "words"),
    [
        ("raspios-trixie-64", 0, [WORKS, "native: 0.1.0 (manylinux_2_17_aarch64)"]),
        ("raspios-bookworm-64", 0, [WORKS, "edge_rnn-*.whl: tflite-runtime 2.14.0, numpy 1.26.4"]),
        (
            "raspios-bookworm-32",
            0,
            [
                WORKS,
                "pip install --extra-index-url https://www.piwheels.org/simple edge_rnn-*.whl",
                "sudo apt install libopenblas0 && ",
            ],
        ),
        (
            "raspios-bullseye-64",  # tflite-runtime 2.14.0 has glibc 2.34 in its wheel's name
            0,
            [
                WORKS,
                "pip finds no tflite-runtime==2.14.0",
                "needs glibc 2.34",
                "pip install --no-deps edge_rnn-*.whl && pip install click numpy",
            ],
        ),
        (
            "python3.12-aarch64-glibc2.28",
            0,
            [WORKS, "ai-edge-litert: 2.3.0 needs glibc 2.34, although its wheel's name asks for less"],
        ),
        ("raspios-bullseye-32", 0, [WORKS, "pip finds no tflite-runtime==2.14.0", "piwheels.org"]),
        ("raspios-trixie-32", 0, [WORKS, "PyPI has no wheel of numpy", "piwheels.org"]),
        ("python3.13-armv6l-glibc2.41", 0, [WORKS, "native: 0.1.0 (linux_armv6l)", "piwheels.org"]),
        ("python3.12-x86_64-musl1.2", 0, [WORKS, "it has no wheel for musl"]),
        ("python3.15-x86_64-glibc2.41", 0, [WORKS, "for CPython 3.9 to 3.14"]),
        (
            "python3.9-i686-glibc2.31",
            1,
            [
                "no wheel of edge-rnn has a library for python3.9-i686-glibc2.31, and no TFLite",
                "fix: sudo apt install gcc libc6-dev && pip install edge_rnn-*.tar.gz",
                "a TFLite engine; edge-rnn predict MODEL INPUT --engine numpy does, slowly",
            ],
        ),
        ("python3.8-x86_64-glibc2.31", 1, ["edge-rnn needs Python 3.9 or newer", "uv venv --seed"]),
    ],
)
def test_what_is_said_of_systems_that_are_not_at_hand(system, code, words):
    result = edge_rnn("doctor", "--for", system)
    assert result.returncode == code, result.stdout + result.stderr
    for part in words:
        assert part in result.stdout
    assert ("wrong: " in result.stdout) == (system not in NOTHING_WRONG)


@pytest.mark.parametrize(
    ("system", "engine", "code", "words"),
    [
        ("raspios-trixie-64", "native", 0, [WORKS]),
        ("raspios-trixie-64", "ai-edge-litert", 0, ["works on that system with ai-edge-litert 2."]),
        (
            "raspios-trixie-64",
            "tflite-runtime",
            1,
            [
                "tflite-runtime is not made for python3.13-aarch64-glibc2.41",
                "--seed --python 3.11 edge && edge/bin/pip install edge_rnn-*.whl tflite-runtime",
                "with tflite-runtime; edge-rnn predict MODEL INPUT --engine native does",
            ],
        ),
        ("raspios-bookworm-32", "tflite-runtime", 0, ["without XNNPACK for armv7l"]),
        (
            "raspios-bullseye-64",
            "ai-edge-litert",
            0,
            ["pip install --no-deps edge_rnn-*.whl && pip install click ai-edge-litert==2.1.0 numpy"],
        ),
        ("raspios-bullseye-32", "tflite-runtime", 0, ["tflite-runtime==2.13.0 'numpy<2'"]),
        ("python3.12-x86_64-musl1.2", "ai-edge-litert", 1, ["ai-edge-litert is not made for"]),
        ("python3.9-i686-glibc2.31", "native", 1, ["no wheel of edge-rnn has a library for"]),
        ("python3.9-i686-glibc2.31", "numpy", 0, ["--engine numpy works on that system, slowly"]),
    ],
)
def test_one_engine_on_a_system_that_is_not_at_hand(system, engine, code, words):
    result = edge_rnn("doctor", "--for", system, "--engine", engine)
    assert result.returncode == code, result.stdout + result.stderr
    for part in words:
        assert part in result.stdout


def test_a_system_for_json():
    found = json.loads(succeed(edge_rnn("doctor", "--for", "raspios-bullseye-64", "--json")))
    assert found["works"]
    assert found["facts"]["ai-edge-litert"]["version"] == "2.1.0"
    assert found["facts"]["system"] == "python3.9-aarch64-glibc2.31"
    (finding,) = found["findings"]
    assert finding["commands"]


def test_engine_numpy_needs_no_tflite_engine_on_that_system():
    result = edge_rnn("doctor", "--for", "python3.12-x86_64-musl1.2", "--engine", "numpy")
    assert result.returncode == 0
    assert "wrong" not in result.stdout


@pytest.mark.parametrize(
    "text",
    ["", "pi4", "python3.12", "python3.12-arm64-glibc2.36", "python3.12-aarch64-glibc2", "raspios"],
)
def test_what_names_no_system_is_answered_with_the_grammar(text):
    with pytest.raises(InputError, match="Expected pythonX.Y-ARCHITECTURE-glibcA.B") as refused:
        parse_system(text)
    assert "raspios-bookworm-64" in str(refused.value)
    result = edge_rnn("doctor", "--for", text)
    assert result.returncode == 2
    assert result.stderr == f"Error: {refused.value}\n"


def test_a_model_that_an_engine_of_that_system_loads(tmp_path):
    model = write_model(tmp_path / "m.tflite", "int8")
    printed = succeed(edge_rnn("doctor", model, "--for", "raspios-bookworm-32"))
    assert f"{model} works on that system with native " in printed
    command = ("doctor", model, "--for", "raspios-bookworm-32", "--engine", "tflite-runtime")
    printed = succeed(edge_rnn(*command))
    assert f"{model} works on that system with tflite-runtime 2.14.0" in printed
    assert "XNNPACK" not in printed  # int8 does not use XNNPACK in that engine
