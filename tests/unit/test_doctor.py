"""`edge-rnn doctor` on this machine: real engines, real crashes, messages of the real dynamic loader."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from convert.compiler.compile import lower
from convert.model_file.archive import embed
from convert.model_file.flatbuffer import serialize
from convert.targets.target import Target
from edge_runtime.doctor.examine import examine
from edge_runtime.doctor.machine import this_machine
from edge_runtime.doctor.packages.pip import Pip
from edge_runtime.doctor.packages.remedies import Remedies
from edge_runtime.doctor.python_facts import _musl
from edge_runtime.doctor.system import parse_system
from edge_runtime.doctor.trial import TRIAL_MODEL, try_engine
from edge_runtime.doctor.trial_child import has_delegate
from edge_runtime.engines.engine import NATIVE, native_kernels, open_interpreter
from edge_runtime.model_file.read_file import read_model
from edge_runtime.native.library import LIBRARY_VARIABLE, load_library
from tests.support.commands import ENGINES, ROOT, edge_rnn, loaded_by, succeed
from tests.support.model_files import metadata_for, write_model
from tests.support.networks import random_network, random_windows

both_engines = pytest.mark.skipif(len(ENGINES) < 2, reason="needs both engines")


def test_installed_engines_work():
    printed = succeed(edge_rnn("doctor"))
    assert "wrong" not in printed
    for name in ENGINES:
        assert f"{name}: " in printed
    assert printed.count("computes the trial model correctly, with XNNPACK") == len(ENGINES)
    assert f"computes the trial model correctly, with {native_kernels()[0]} kernels" in printed
    assert printed.splitlines()[-1].startswith("edge-rnn works on this machine with native ")


def test_a_model_is_verified_in_every_engine():
    """The trial model is one of ours, with probes."""
    found = json.loads(succeed(edge_rnn("doctor", TRIAL_MODEL, "--json")))
    assert found["works"]
    for name in (NATIVE, *ENGINES):
        assert found["facts"][f"model in {name}"]["verified"]
    interpreter = open_interpreter(read_model(TRIAL_MODEL)[0], engine=ENGINES[0])
    used = {op["op_name"] for op in interpreter._get_ops_details()}
    assert {name for name, _ in found["facts"]["model"]["operators"]} == used - {"DELEGATE"}


@pytest.mark.parametrize("engine", [NATIVE, *ENGINES, "numpy"])
def test_one_engine_alone(engine):
    found = json.loads(succeed(edge_rnn("doctor", "--engine", engine, "--json")))
    assert {*found["facts"]} & {NATIVE, *ENGINES} == {engine} - {"numpy"}
    assert found["verdict"].startswith(f"edge-rnn works on this machine with {engine} ")


@pytest.mark.parametrize("engine", ENGINES)
def test_xnnpack_is_reported_only_where_it_is_used(engine):
    flatbuffer, _ = read_model(TRIAL_MODEL)
    for kernels, expected in (("default", True), ("no-xnnpack", False)):
        assert has_delegate(open_interpreter(flatbuffer, engine=engine, kernels=kernels)) == expected


def test_the_doctor_itself_loads_no_numpy_and_no_engine():
    run = "from click.testing import CliRunner; from edge_runtime.cli import main"
    loaded = loaded_by(f"{run}\nassert not CliRunner().invoke(main, ['doctor']).exit_code")
    assert "edge_runtime" in loaded
    assert not loaded & {"numpy", "ai_edge_litert", "tflite_runtime"}


def test_what_lies_in_the_working_directory_does_not_matter(tmp_path):
    for name in ("numpy.py", "ai_edge_litert.py", "json.py"):
        (tmp_path / name).write_text("raise ImportError('from the working directory')")
    assert "wrong" not in succeed(edge_rnn("doctor", cwd=tmp_path))


@pytest.fixture
def per_row_model(tmp_path) -> Path:
    """One scale per row, which FULLY_CONNECTED has from version 12 on, and tflite-runtime has not."""
    network = random_network()
    only = Target("per row", (), frozenset({"dynamic-per-channel"}))
    graph = lower(network, random_windows(network), precision="dynamic", target=only)
    flatbuffer, path = serialize(graph), tmp_path / "per-row.tflite"
    path.write_bytes(embed(flatbuffer, metadata_for(flatbuffer, precision="dynamic")))
    return path


@both_engines
def test_operators_that_an_engine_refuses_are_named_with_what_helps(per_row_model):
    result = edge_rnn("doctor", per_row_model, "--engine", "tflite-runtime")
    assert result.returncode == 1
    assert "tflite-runtime 2.14.0 refuses FULLY_CONNECTED version 12 (it loads up to version 10)" in (
        result.stdout
    )
    assert "-m pip install ai-edge-litert==" in result.stdout
    target = "--precision dynamic --target tflite-runtime-2.14"
    assert f"or: edge-rnn convert RUN {target} --out {per_row_model}" in result.stdout
    # ai-edge-litert loads the model and is chosen, so nothing is wrong.
    printed = succeed(edge_rnn("doctor", per_row_model))
    assert "wrong" not in printed
    assert "loads and runs, but carries no probes to verify it with" in printed


@pytest.mark.parametrize(
    ("system", "code", "engine"),
    [
        ("raspios-bookworm-64", 0, "ai-edge-litert"),
        ("raspios-bookworm-32", 1, "tflite-runtime"),
        ("raspios-trixie-64", 0, "ai-edge-litert"),
    ],
)
def test_operators_that_are_refused_elsewhere(per_row_model, system, code, engine):
    printed = succeed(edge_rnn("doctor", per_row_model, "--for", system))
    assert "works on that system with native " in printed.splitlines()[-1]
    assert "refuses" not in printed
    result = edge_rnn("doctor", per_row_model, "--for", system, "--engine", engine)
    assert result.returncode == code
    works = "works" if not code else "does not work"
    assert f"{works} on that system with {engine}" in result.stdout.splitlines()[-1]
    named = "tflite-runtime 2.14.0 refuses FULLY_CONNECTED version 12" in result.stdout
    assert named == bool(code)


def test_a_file_that_is_damaged_or_not_a_model_is_refused_with_one_message(tmp_path):
    model = write_model(tmp_path / "m.tflite")
    data = bytearray(model.read_bytes())
    data[200] ^= 255
    (tmp_path / "damaged.tflite").write_bytes(data)
    (tmp_path / "cut.tflite").write_bytes(data[: len(data) // 2])
    (tmp_path / "text.tflite").write_text("no model at all")
    for name, words in (
        ("damaged.tflite", "do not match the SHA-256"),
        ("cut.tflite", "cut short or damaged"),
        ("text.tflite", "not a TFLite model"),
        ("absent.tflite", "cannot read the model file"),
    ):
        for arguments in ((), ("--for", "raspios-bookworm-64")):
            result = edge_rnn("doctor", tmp_path / name, *arguments)
            assert result.returncode == 2
            assert not result.stdout
            (line,) = result.stderr.splitlines()
            assert name in line
            assert words in line


def test_options_out_of_range_are_one_sentence():
    for arguments, words in (
        (
            ("--engine", "coral"),
            "unknown engine 'coral'. Choose auto, ai-edge-litert",
        ),
        (("--engine", "coral", "--for", "raspios-bookworm-64"), "unknown engine 'coral'"),
        (("--timeout", "0"), "--timeout: expected more than 0 seconds, at most 1,000,000, found 0.0."),
        (("--timeout", "inf"), "--timeout: expected more than 0 seconds, at most 1,000,000, found inf."),
        (("",), "cannot read the model file"),
    ):
        result = edge_rnn("doctor", *arguments)
        assert result.returncode == 2
        (line,) = result.stderr.splitlines()
        assert words in line


@pytest.fixture
def impostor(tmp_path):
    """Writes a package of ai-edge-litert's name, to be found before the installed one.

    `code` is its module. Returns the environment for the command. Everything else is real.
    """

    def write(code: str) -> dict[str, str]:
        package = tmp_path / "impostor" / "ai_edge_litert"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "interpreter.py").write_text(code)
        return {**os.environ, "PYTHONPATH": os.pathsep.join([str(package.parent), str(ROOT)])}

    return write


def findings(environment, *arguments: object) -> list[dict]:
    """The findings on a machine on which ai-edge-litert does not work."""
    result = edge_rnn("doctor", "--engine", "ai-edge-litert", "--json", *arguments, env=environment)
    assert result.returncode == 1, result.stdout + result.stderr
    assert not result.stderr
    found = json.loads(result.stdout)
    assert not found["works"]
    assert found["verdict"].endswith(
        "with ai-edge-litert; edge-rnn predict MODEL INPUT --engine native does"
    )
    return found["findings"]


@pytest.mark.parametrize("name", ["SIGILL", "SIGSEGV", "SIGABRT"])
def test_the_signal_that_kills_an_engine_is_named(impostor, name):
    (finding,) = findings(impostor(f"import os\nos.kill(os.getpid(), {int(signal.Signals[name])})"))
    assert f"dies of {name} (" in finding["problem"]
    assert ("illegal instruction" in finding["problem"]) == (name == "SIGILL")
    assert "on being imported" in finding["problem"]
    assert "pip install tflite-runtime==2.14.0 'numpy<2'" in finding["commands"][0]


@both_engines
def test_an_engine_that_dies_gives_way_to_the_one_that_works(impostor):
    environment = impostor(f"import os\nos.kill(os.getpid(), {int(signal.SIGILL)})")
    printed = succeed(edge_rnn("doctor", env=environment))
    assert "-m pip uninstall -y ai-edge-litert" in printed
    assert printed.splitlines()[-1].startswith("edge-rnn works on this machine with native ")
    environment[LIBRARY_VARIABLE] = "/nowhere.so"
    printed = succeed(edge_rnn("doctor", env=environment))
    assert "-m pip uninstall -y ai-edge-litert" in printed
    assert printed.splitlines()[-1] == "edge-rnn works on this machine with --engine tflite-runtime only"


def test_an_engine_that_hangs_is_stopped_and_named(impostor):
    (finding,) = findings(impostor("import time\ntime.sleep(600)"), "--timeout", 4)
    assert "hangs" in finding["problem"]


def test_an_engine_without_what_it_is_made_of(impostor):
    (finding,) = findings(impostor("import no_such_dependency"))
    assert "needs the module no_such_dependency, which is not installed" in finding["problem"]
    assert "--force-reinstall" in finding["commands"][0]


def test_an_engine_that_just_fails_is_quoted(impostor):
    (finding,) = findings(impostor("raise OSError('the moon is full')"))
    assert "fails on being imported: " in finding["problem"]
    assert "the moon is full" in finding["problem"]


def test_an_engine_whose_models_crash_it(impostor, tmp_path):
    """The engine can be imported, so `auto` would take it. The trial has to go on to a model."""
    (finding,) = findings(
        impostor(
            f"import os\nclass OpResolverType:\n    AUTO = 0\n"
            f"class Interpreter:\n    def __init__(self, **_):\n"
            f"        os.kill(os.getpid(), {int(signal.SIGSEGV)})"
        )
    )
    assert "dies of SIGSEGV" in finding["problem"]
    assert "on running a small model" in finding["problem"]


def native_findings(library: object, *arguments: object, code: int = 0) -> tuple[list[dict], str]:
    """The findings and the verdict where native's library is the file `library`."""
    environment = {**os.environ, LIBRARY_VARIABLE: str(library)}
    result = edge_rnn("doctor", "--json", *arguments, env=environment)
    assert result.returncode == code, result.stdout + result.stderr
    assert not result.stderr
    found = json.loads(result.stdout)
    assert found["works"] == (not code)
    return found["findings"], found["verdict"]


def test_a_library_that_is_not_there_is_a_finding_although_auto_works(tmp_path):
    ((finding,), verdict) = native_findings(tmp_path / "absent.so")
    assert finding["problem"] == f"{tmp_path / 'absent.so'}: the native engine's library is missing"
    assert finding["commands"] == [f"unset {LIBRARY_VARIABLE}"]
    assert verdict.startswith(f"edge-rnn works on this machine with {ENGINES[0]} ")
    ((finding,), verdict) = native_findings(tmp_path / "absent.so", "--engine", NATIVE, code=1)
    assert "is missing" in finding["problem"]
    assert verdict.endswith(" with native; edge-rnn predict MODEL INPUT --engine numpy does, slowly")


def test_a_library_that_was_not_compiled_is_explained_by_the_note_of_the_build(tmp_path):
    """setup.py leaves the note beside the library that it could not make."""
    note = {"library": None, "failure": "no C compiler: none of cc, gcc, clang is installed"}
    (tmp_path / "build_note.json").write_text(json.dumps(note))
    ((finding,), _) = native_findings(tmp_path / "libedge_rnn.so")
    assert finding["problem"].endswith(
        "library is missing, because it was not compiled (no C compiler: none of cc, gcc, clang is "
        "installed)"
    )


def test_a_library_for_another_kind_of_machine(tmp_path):
    library, path = Path(load_library().path).read_bytes(), tmp_path / "other.so"
    path.write_bytes(library[:4] + bytes([3 - library[4]]) + library[5:])
    ((finding,), _) = native_findings(path)
    assert "is built for another architecture (wrong ELF class: " in finding["problem"]


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_a_library_with_instructions_that_the_processor_lacks(tmp_path):
    """The engine dies, and auto with it: only another engine by name is left."""
    source, library = tmp_path / "trap.c", tmp_path / "trap.so"
    source.write_text("__attribute__((constructor)) void loaded(void) { __builtin_trap(); }\n")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    ((finding,), verdict) = native_findings(library)
    assert re.match(r"native \S+ dies of SIG(ILL|TRAP)", finding["problem"])
    assert "on being loaded" in finding["problem"]
    assert f"edge-rnn predict MODEL INPUT --engine {ENGINES[0]}" in finding["commands"]
    assert verdict == f"edge-rnn works on this machine with --engine {ENGINES[0]} only"


def test_commands_that_bring_the_library():
    """A wheel where one is made for the system, or a compiler and the sources."""
    pi = Remedies(Pip(parse_system("raspios-trixie-64")))
    assert pi.reinstall(NATIVE, None) == (
        "pip install --force-reinstall --no-cache-dir --no-deps edge_rnn-*.whl",
        "sudo apt install gcc libc6-dev && pip install --force-reinstall --no-cache-dir --no-deps "
        "edge_rnn-*.tar.gz",
    )
    old = Remedies(Pip(parse_system("python3.9-i686-glibc2.31")), working=("tflite-runtime",))
    assert old.replace(NATIVE, None) == (
        pi.reinstall(NATIVE, None)[1],
        "edge-rnn predict MODEL INPUT --engine tflite-runtime",
    )


PATCHES = {
    "a symbol": (b"PyModuleDef_Init", b"PyModuleDef_Tini", "lacks the symbol PyModuleDef_Tini"),
    "a newer glibc": (b"\0GLIBC_2.", b"\0GLIBC_9.", "needs GLIBC_9."),
    "a library": (b"\0libc.so.6\0", b"\0libq.so.6\0", "needs the library libq.so.6"),
    "its architecture": (b"\x7fELF", b"\x7fARM", "is built for another architecture"),
}
"""What is missing -> bytes in the strings of an extension module, and their replacement."""


@pytest.fixture
def patched(tmp_path):
    """Writes a changed module of the standard library and returns the code that imports it."""

    def write(old: bytes, new: bytes) -> str:
        spec = importlib.util.find_spec("_ctypes_test") or importlib.util.find_spec("_opcode")
        content = Path(spec.origin).read_bytes()
        if old not in content:
            pytest.skip(f"{spec.origin} is linked otherwise")
        path = tmp_path / "broken.so"
        path.write_bytes(content.replace(old, new))
        return (
            "from importlib.machinery import ExtensionFileLoader, ModuleSpec\n"
            f"loader = ExtensionFileLoader({spec.name!r}, {str(path)!r})\n"
            f"loader.create_module(ModuleSpec({spec.name!r}, loader, origin={str(path)!r}))\n"
        )

    return write


@pytest.mark.skipif(sys.platform != "linux", reason="of ELF files")
@pytest.mark.parametrize("lack", PATCHES)
def test_what_the_dynamic_loader_does_not_find_is_named(impostor, patched, lack):
    old, new, words = PATCHES[lack]
    (finding,) = findings(impostor(patched(old, new)))
    assert words in finding["problem"]
    (command, *_) = finding["commands"]
    # Another release if the installed one is too new, the same again if it is damaged.
    assert ("tflite-runtime" if lack == "a newer glibc" else "--force-reinstall") in command


def test_a_numpy_that_cannot_be_imported(patched, tmp_path):
    package = tmp_path / "path" / "numpy"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(patched(b"\0libc.so.6\0", b"\0libq.so.6\0"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(package.parent), str(ROOT)])}
    result = edge_rnn("doctor", "--json", env=environment)
    assert result.returncode == 1
    found = json.loads(result.stdout)
    (finding,) = found["findings"]  # once, not for every engine
    assert finding["problem"] == "numpy needs the library libq.so.6, which is not installed"
    assert "numpy" in finding["commands"][0]
    assert found["verdict"] == "edge-rnn does not work on this machine"


def test_the_same_from_python():
    diagnosis = examine(engine="numpy")
    assert diagnosis
    assert not diagnosis.findings
    trial = try_engine("numpy", seconds=0.01)
    assert trial.timed_out
    assert not trial


RASPBERRY = """processor\t: 0
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3

Revision\t: c03111
Serial\t\t: 10000000abcdef01
Model\t\t: Raspberry Pi 4 Model B Rev 1.1
"""
"""/proc/cpuinfo of a Raspberry Pi 4."""


def test_a_raspberry_pi_is_known_by_its_files(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "cpuinfo").write_text(RASPBERRY)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "os-release").write_text('ID=debian\nPRETTY_NAME="Debian GNU/Linux 12"\n')
    machine = this_machine(str(tmp_path))
    assert machine.board == "Raspberry Pi 4 Model B Rev 1.1"
    assert machine.processor == "Cortex-A72"
    assert machine.system == "Debian GNU/Linux 12"
    # The device tree has a more exact name, with a NUL at its end.
    (tmp_path / "proc" / "device-tree").mkdir()
    (tmp_path / "proc" / "device-tree" / "model").write_bytes(b"Raspberry Pi 5 Model B Rev 1.0\0")
    assert this_machine(str(tmp_path)).board == "Raspberry Pi 5 Model B Rev 1.0"
    assert this_machine(str(tmp_path / "nothing")).board is None


def test_musl_is_known_by_what_its_loader_says(tmp_path):
    loader = tmp_path / "ld-musl-x86_64.so.1"
    loader.write_text("#!/bin/sh\nprintf 'musl libc (x86_64)\\nVersion 1.2.3\\n' >&2\nexit 1\n")
    loader.chmod(0o755)
    assert _musl(str(tmp_path / "ld-musl-*.so.1")) == ("musl", (1, 2))


def test_without_pip_the_command_brings_it(tmp_path):
    """An environment as uv makes it."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    site = Path(importlib.util.find_spec("click").origin).parents[1]
    links = tmp_path / "links"
    links.mkdir()
    (links / "click").symlink_to(site / "click")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(links)])}
    python = tmp_path / "bare" / "bin" / "python"
    result = subprocess.run(
        [python, "-m", "edge_runtime", "doctor"], env=environment, capture_output=True, text=True
    )
    assert result.returncode == 1
    assert f"fix: {python} -m ensurepip && {python} -m pip install " in result.stdout
