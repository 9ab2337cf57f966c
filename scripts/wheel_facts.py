"""Writes edge_runtime/doctor/packages/wheel_facts.json: the wheels on PyPI, for `edge-rnn doctor`.

    python -m scripts.wheel_facts --environments ~/.cache/wheel_facts    # minutes; needs the network

Asks PyPI's JSON API for every release of the engines and of numpy, and keeps the wheels for CPython 3.9
and newer on Linux. A wheel of numpy is left out if a newer release of the same major version makes it
superfluous. The newest release of every minor version of an engine runs in environments in that folder,
which shows whether it works with numpy 2 and computes the trial model correctly. The wheels of every
release show which glibc they really need and whether they have XNNPACK. Nothing in the file is typed in.
Run this script when an engine or a Python appears.
"""

from __future__ import annotations

import argparse
import datetime
import json
import re
import subprocess
import sys
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from convert.proof.environments import fitting_python, make_in
from edge_runtime.doctor.packages.installation import OLDEST_PYTHON
from edge_runtime.doctor.packages.wheels import WHEEL_FACTS, libcs
from edge_runtime.engines.engine import ENGINES
from edge_runtime.host.atomic_file import replacing
from scripts.engine_table import series

ROOT = Path(__file__).parents[1]

SOURCE = "https://pypi.org/pypi/{}/json"
XNNPACK_MESSAGE = b"XNNPACK delegate for CPU"
GLIBC_VERSION = re.compile(rb"\0GLIBC_(\d+)\.(\d+)(?=[.\0])")
"""The name of a version of its symbols, among the strings of a library that needs it."""

TRIAL = ROOT / "edge_runtime" / "doctor" / "trial.tflite"


def main() -> None:
    """Ask, try, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--environments", type=Path, required=True, help="folder for environments")
    options = parser.parse_args()
    packages = {name: list(releases(name)) for name in (*ENGINES, "numpy")}
    packages["numpy"] = pruned(packages["numpy"])
    for name in ENGINES:
        add_findings(name, packages[name], options.environments)
    facts = {
        "made_by": "scripts/wheel_facts.py",
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "sources": [SOURCE.format(name) for name in packages],
        "packages": packages,
    }
    with replacing(WHEEL_FACTS) as temporary:
        temporary.write_text(json.dumps(facts, indent=1) + "\n", "utf-8")


def releases(name: str) -> Iterator[dict[str, Any]]:
    """A record for each release of the package that pip would consider, the newest first."""
    with urllib.request.urlopen(SOURCE.format(name), timeout=60) as answer:
        found = json.load(answer)["releases"]
    for version in sorted(map(Version, found), reverse=True):
        wheels = sorted(tag for file in found[str(version)] for tag in usable(file))
        if wheels and not version.is_prerelease:
            yield {"version": str(version), "wheels": wheels}


def usable(file: dict[str, Any]) -> Iterator[str]:
    """The tags of a wheel for Linux and a Python that is new enough; empty for any other file."""
    if file["packagetype"] != "bdist_wheel" or file["yanked"]:
        return
    tag = "-".join(file["filename"].removesuffix(".whl").rsplit("-", 3)[1:])
    python, abi, platform = tag.split("-")
    if not python.startswith("cp3") or "linux" not in platform:
        return
    version = (3, int(python[3:]))
    wanted = SpecifierSet(file["requires_python"] or "")
    if version >= OLDEST_PYTHON and f"{version[0]}.{version[1]}" in wanted and abi == python:
        yield tag


def pruned(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Drop wheels that a newer release of the same major version has for that libc or an older one."""
    kept, seen = [], []
    for release in found:
        major = release["version"].split(".")[0]
        wheels = []
        for tag in release["wheels"]:
            python, _, platform = tag.split("-")
            libc, least, architecture = min(libcs(platform))
            key = (major, python, libc, architecture)
            if not any(other == key and already <= least for other, already in seen):
                wheels.append(tag)
                seen.append((key, least))
        if wheels:
            kept.append({**release, "wheels": wheels})
    return kept


def add_findings(name: str, found: list[dict[str, Any]], folder: Path) -> None:
    """Add what an engine's releases show: run the newest of every minor version, and look into the
    wheels of all."""
    known: dict[str, dict[str, Any]] = {}
    for release in found:  # the newest first
        minor = release["version"].rpartition(".")[0]
        if minor not in known:
            known[minor] = tried(name, release, folder)
        release.update(known[minor], **contents(name, release, folder))
        print(name, {key: value for key, value in release.items() if key != "wheels"})


def tried(name: str, release: dict[str, Any], environments: Path) -> dict[str, Any]:
    """With which numpy the release runs the trial model, and whether its probes pass."""
    for numpy in ("numpy", "numpy<2"):
        result = verified(name, release, numpy, environments)
        if result.returncode in (0, 1) and "probes" in result.stdout + result.stderr:
            return {"numpy": numpy, "verified": result.returncode == 0}
    raise SystemExit(f"{name} {release['version']}: {result.stderr}")


def contents(name: str, release: dict[str, Any], folder: Path) -> dict[str, Any]:
    """For a wheel of each architecture, the glibc that its libraries need, whatever its tag says, and
    whether they contain XNNPACK's delegate, which the delegate's message shows."""
    needs, xnnpack = {}, []
    platforms = [tag.split("-")[2] for tag in release["wheels"]]
    for architecture in sorted({libc[2] for platform in platforms for libc in libcs(platform)}):
        tag = next(tag for tag in release["wheels"] if tag.endswith(architecture))
        libraries = list(shared_libraries(downloaded(f"{name}=={release['version']}", tag, folder)))
        versions = {found for library in libraries for found in GLIBC_VERSION.findall(library)}
        needs[architecture] = list(max((int(major), int(minor)) for major, minor in versions))
        if any(XNNPACK_MESSAGE in library for library in libraries):
            xnnpack.append(architecture)
    return {"glibc": needs, "xnnpack": xnnpack}


def shared_libraries(wheel: Path) -> Iterator[bytes]:
    """The content of each in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.namelist():
            content = archive.read(member)
            if content.startswith(b"\x7fELF"):
                yield content


def downloaded(requirement: str, tag: str, folder: Path) -> Path:
    """The wheel with that tag, from the folder or by pip."""
    python, _, platform = tag.split("-")
    place = folder.absolute() / f"{requirement}-{tag}"
    if not place.exists():
        command = [
            sys.executable,
            "-I",
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--dest",
            str(place),
        ]
        command += ["--only-binary=:all:", "--implementation=cp", f"--python-version={python[2:]}"]
        command += [f"--platform={part}" for part in platform.split(".")]
        subprocess.run([*command, requirement], check=True)
    (wheel,) = place.glob("*.whl")
    return wheel


def verified(
    name: str, release: dict[str, Any], numpy: str, environments: Path
) -> subprocess.CompletedProcess[str]:
    """`edge-rnn verify` in an environment with that release, on a Python that it has wheels for."""
    version = release["version"]
    minors = sorted(int(tag[3 : tag.index("-")]) for tag in release["wheels"] if "x86_64" in tag)
    python = fitting_python(series(f"{name}-0", name, version, f"3.{minors[0]} 3.{minors[-1]}", numpy))
    folder = environments.absolute() / f"{name}-{version}-numpy{1 if '<' in numpy else 2}"
    if not (folder / "ready").exists():
        make_in(folder, python, [f"{name}=={version}", numpy, "click"])
        (folder / "ready").touch()
    command = [folder / "bin" / "python", "-m", "edge_runtime", "verify", TRIAL, "--engine", name]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


if __name__ == "__main__":
    main()
