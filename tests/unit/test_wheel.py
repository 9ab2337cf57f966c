"""The wheel of this machine, also where its C library cannot be compiled."""

from __future__ import annotations

import ctypes
import json
import os
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from edge_runtime.native.library import LIBRARY_VARIABLE
from scripts.compile_library import (
    KERNEL_SETS,
    NATIVE,
    NOTE,
    CompileError,
    compile_library,
    describe_compiler,
    find_compiler,
    library_name,
    try_to_compile,
)
from tests.support.commands import succeed
from tests.support.made_once import made_once
from tests.support.sanitizers import sanitized_library
from tests.support.sources import PACKAGES, copy_of_sources, package_files

IN_WHEEL = "edge_runtime/native"
NO_COMPILER = {"CC": "/nowhere/cc"}


def built(kind: str, source: Path, out: Path, **variables: str) -> Path:
    """What `python -m build` makes of the sources."""
    command = [sys.executable, "-m", "build", f"--{kind}", "--outdir", str(out), str(source)]
    environment = {**os.environ, **variables}
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=600, check=False, env=environment
    )
    assert result.returncode == 0, result.stdout + result.stderr
    (path,) = out.iterdir()
    return path


def pip_wheel(source: Path, out: Path) -> list[str]:
    """The command by which pip builds a wheel before it installs it."""
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--disable-pip-version-check"]
    return [*pip, "--wheel-dir", str(out), str(source)]


def plain_sources(folder: Path) -> Path:
    """A copy of the sources with plain kernels only, which is compiled in a tenth of the time."""
    copy_of_sources(folder)
    for item in KERNEL_SETS:
        (folder / IN_WHEEL / "c" / f"kernels_{item.name}.c").unlink(missing_ok=True)
    return folder


def note_of(wheel: Path) -> dict:
    with zipfile.ZipFile(wheel) as archive:
        return json.loads(archive.read(f"{IN_WHEEL}/{NOTE}"))


def test_the_wheel_holds_the_packages_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    found = {name for name in names if ".dist-info/" not in name}
    assert found == {*package_files(), f"{IN_WHEEL}/{NOTE}", f"{IN_WHEEL}/{library_name()}"}
    assert {f"{package}/py.typed" for package in PACKAGES} <= found
    assert any(name.endswith("LICENSE") for name in names)


def test_one_wheel_serves_every_python(wheel):
    python, abi, platform = wheel.stem.split("-")[-3:]
    assert (python, abi) == ("py3", "none")
    assert platform != "any"
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("dist-info/WHEEL"))
        assert "Root-Is-Purelib: false" in archive.read(name).decode()


def test_the_library_of_the_wheel_loads(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        library = archive.extract(f"{IN_WHEEL}/{library_name()}", tmp_path)
    ctypes.CDLL(library)
    assert note_of(wheel)["failure"] is None
    assert "plain" in note_of(wheel)["kernels"]


@pytest.fixture(scope="module")
def sdist(shared_folder) -> Path:
    def make(folder: Path) -> None:
        built("sdist", copy_of_sources(folder / "source"), folder / "out")

    (path,) = made_once(shared_folder / "sdist", make).glob("out/*")
    return path


def test_a_source_distribution_is_compiled_where_it_is_installed(sdist, wheel, tmp_path):
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        str(tmp_path),
    ]
    subprocess.run([*command, str(sdist)], check=True, timeout=600)
    (made,) = tmp_path.iterdir()
    assert made.name == wheel.name
    with zipfile.ZipFile(made) as one, zipfile.ZipFile(wheel) as other:
        assert {*one.namelist()} == {*other.namelist()}


def test_without_a_compiler_the_wheel_is_for_every_platform_and_says_why(tmp_path):
    source = copy_of_sources(tmp_path / "source")
    made = built("wheel", source, tmp_path / "out", **NO_COMPILER)
    assert made.name.endswith("-py3-none-any.whl")
    assert note_of(made)["failure"] == ("no C compiler: CC is /nowhere/cc, which is not installed")
    with zipfile.ZipFile(made) as archive:
        names = {*archive.namelist()}
    assert f"{IN_WHEEL}/{library_name()}" not in names
    assert f"{IN_WHEEL}/c/kernels_plain.c" in names


def test_sources_that_do_not_compile_are_no_failure_of_the_installation(tmp_path):
    source = plain_sources(tmp_path / "source")
    with (source / IN_WHEEL / "c" / "run.c").open("a") as file:
        file.write("this is not C;\n")
    made = built("wheel", source, tmp_path / "out")
    assert made.name.endswith("-py3-none-any.whl")
    assert "failed: run.c:" in note_of(made)["failure"]


def test_an_editable_installation_has_the_library_beside_the_sources(tmp_path):
    source = plain_sources(tmp_path / "source")
    native = source / IN_WHEEL
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, tmp_path / "venv"], check=True)
    command = [
        uv,
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--python",
        tmp_path / "venv" / "bin" / "python",
    ]
    command += ["--reinstall", "--editable", source]
    for variables, compiled in (({}, True), (NO_COMPILER, False)):
        subprocess.run(command, check=True, timeout=600, env={**os.environ, **variables})
        assert (native / library_name()).exists() == compiled
        assert (json.loads((native / NOTE).read_text())["failure"] is None) == compiled


def test_sources_that_cannot_be_written_to_can_be_installed(tmp_path):
    """The folder is mounted read-only, as root writes to any other."""
    source = plain_sources(tmp_path / "source")
    folder = shlex.quote(str(source))
    mount = f"mount --bind {folder} {folder} && mount -o remount,ro,bind {folder} {folder}"
    space = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    tried = subprocess.run([*space, mount], capture_output=True, check=False)
    if tried.returncode:
        pytest.skip(f"a folder cannot be mounted read-only here: {tried.stderr.decode().strip()}")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--wheel-dir",
        str(tmp_path / "out"),
        str(source),
    ]
    result = subprocess.run(
        [*space, f"{mount} && ! touch {folder}/file && {shlex.join(pip)}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    (made,) = (tmp_path / "out").iterdir()
    assert note_of(made)["failure"] is None


@pytest.fixture
def old_compiler(tmp_path) -> Path:
    """A compiler that does not know AVX-512 VNNI or dot products, as older ones do not."""
    script = tmp_path / "old-cc"
    real = shlex.join(find_compiler().command)
    script.write_text(
        '#!/bin/sh\nfor word; do case "$word" in *vnni*|*dotprod*)\n'
        f'echo "error: unrecognized option $word" >&2; exit 1;; esac; done\nexec {real} "$@"\n'
    )
    script.chmod(0o755)
    return script


def test_kernels_that_the_compiler_does_not_know_are_left_out(old_compiler, tmp_path):
    compiler = describe_compiler([str(old_compiler)])
    if not any(item.architecture == compiler.architecture for item in KERNEL_SETS):
        pytest.skip(f"{compiler.architecture} has plain kernels only")
    compiled = compile_library(tmp_path, compiler)
    ctypes.CDLL(str(tmp_path / library_name()))
    (left_out,) = compiled.left_out
    assert left_out in ("avx512", "neon_dotprod")
    assert left_out not in compiled.kernels
    assert "old-cc failed: error: unrecognized option" in compiled.left_out[left_out]
    with pytest.raises(CompileError, match="unrecognized option"):
        compile_library(tmp_path, compiler, strict=True)


def test_an_older_library_is_replaced_or_deleted(tmp_path, monkeypatch):
    sources = plain_sources(tmp_path / "source") / IN_WHEEL / "c"
    folder = tmp_path / "folder"
    folder.mkdir()
    library = folder / library_name()
    library.write_text("an older one")
    assert try_to_compile(folder, sources=sources).failure is None
    ctypes.CDLL(str(library))
    monkeypatch.setenv("CC", "false")
    assert try_to_compile(folder, sources=sources).failure == "false failed: no message"
    assert not library.exists()
    assert [path.name for path in folder.iterdir()] == [NOTE]


def test_the_library_compiles_without_a_warning(tmp_path):
    compile_library(tmp_path, find_compiler(), strict=True)


def in_sanitized_python(program: str, shared: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **sanitized_library(shared)},
    )


def test_the_sanitized_library_runs_in_an_ordinary_python(shared_folder):
    program = """
from edge_runtime.native.library import load_library
print(load_library().path, *load_library().kernels)
"""
    path, *kernels = succeed(in_sanitized_python(program, shared_folder)).split()
    assert path == sanitized_library(shared_folder)[LIBRARY_VARIABLE]
    assert "plain" in kernels


def test_the_sanitized_library_stops_at_a_wrong_access(shared_folder):
    """The head of a plan in a block of its own, checked as if the whole plan were there."""
    program = """
import ctypes
from pathlib import Path
import edge_runtime
from edge_runtime.native.interpreter import NativeInterpreter
trial = Path(edge_runtime.__file__).parent / "doctor" / "trial.tflite"
interpreter = NativeInterpreter(trial.read_bytes(), "plain")
plan = interpreter.plan.data
allocate = ctypes.CDLL(None).aligned_alloc
allocate.restype, allocate.argtypes = ctypes.c_void_p, [ctypes.c_size_t] * 2
head = allocate(64, 64)
ctypes.memmove(head, plan.ctypes.data, 64)
interpreter.library.functions.er_check(interpreter.table, head, len(plan))
"""
    result = in_sanitized_python(program, shared_folder)
    assert result.returncode != 0
    assert "AddressSanitizer: heap-buffer-overflow" in result.stderr
    assert "check.c" in result.stderr


def test_the_sources_are_where_export_finds_them():
    assert (NATIVE / "c" / "edge_rnn.h").exists()
