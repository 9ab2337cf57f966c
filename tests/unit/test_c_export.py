"""Exported C, compiled by this machine's compiler: the probes, rows, sizes, and what is refused."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from convert import export_c
from convert.c_export.export import c_name
from edge_runtime import StreamingClassifier
from edge_runtime.errors import EngineError, InputError, ModelError
from edge_runtime.model_file.normalization import Normalization
from edge_runtime.native.library import LIBRARY_VARIABLE
from edge_runtime.native.plan_format import MATMUL_PARAMS, PLAN_CALL, PLAN_HEADER, Kernel
from scripts.engine_cases import networks
from tests.support.commands import ROOT, edge_rnn
from tests.support.exported import ALIKE, STRICT, compile_here, write_network
from tests.support.model_files import write_model

NETWORKS = networks()
PRECISIONS = ("float32", "float16", "dynamic", "int16x8", "mixed", "int8")
GRAPHS = ("unrolled", "step")
ROWS_PROGRAM = ROOT / "tests" / "support" / "rows.c"
EACH_FEATURE = Normalization((10.0, 20.0, 30.0), (2.0, 4.0, 8.0))
PIXELS = Normalization((33.0,), (78.0,), "uint8")
PIXELS_BY_FEATURE = Normalization(tuple(range(6)), (8.0,), "uint8")

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc")


def run(program: Path, *arguments: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run([program, *arguments], capture_output=True, check=False, timeout=60, **options)


def exported(folder: Path, precision: str, graph: str = "unrolled", kind="LSTM", normalization=ALIKE):
    folder.mkdir(exist_ok=True)
    file = write_network(folder / "model.tflite", NETWORKS[kind], precision, graph, normalization)
    return export_c(file, folder / "c", name="net")


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_precision_gives_the_bits_of_the_engine(tmp_path, precision, graph):
    export = exported(tmp_path, precision, graph)
    assert run(compile_here(export, tmp_path / "probes")).returncode == 0


def test_numbers_have_names_in_a_comment_and_no_function_of_classes(tmp_path):
    file = write_model(
        tmp_path / "m.tflite", "int8", task="regression", labels=("flow", "a*/b", "c", "d")
    )
    export = export_c(file, tmp_path / "c", name="net")
    header = (export.folder / "src" / "net.h").read_text()
    assert " *   0: flow\n *   1: a* /b\n" in header
    assert "#define NET_OUTPUTS 4u" in header
    assert not re.search("net_class|net_labels|NET_CLASSES", header)
    assert run(compile_here(export, tmp_path / "probes")).returncode == 0


@pytest.mark.parametrize("kind", [kind for kind in NETWORKS if kind != "LSTM"])
def test_every_layer_gives_the_bits_of_the_engine(tmp_path, kind):
    for precision in ("int8", "float32"):
        export = exported(tmp_path / precision, precision, kind=kind)
        assert run(compile_here(export, tmp_path / "probes", "-O1")).returncode == 0


@pytest.mark.parametrize("normalization", [PIXELS, PIXELS_BY_FEATURE])
@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_bytes_are_normalized_as_the_classifier_does(tmp_path, precision, normalization):
    export = exported(tmp_path, precision, normalization=normalization)
    assert "uint8_t raw" in (export.folder / "examples/probes/net_probes.c").read_text()
    assert run(compile_here(export, tmp_path / "probes")).returncode == 0


@pytest.mark.parametrize("flags", [("-O0",), ("-O3", "-march=native", "-ffp-contract=fast")])
def test_the_bits_do_not_depend_on_the_compilers_options(tmp_path, flags):
    export = exported(tmp_path, "float32", "step")
    assert run(compile_here(export, tmp_path / "probes", *flags)).returncode == 0


def test_sanitizers_find_nothing(tmp_path):
    for precision in ("int8", "mixed", "dynamic", "int16x8"):
        export = exported(tmp_path / precision, precision)
        flags = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
        ended = run(compile_here(export, tmp_path / "probes", *flags))
        assert (ended.returncode, ended.stderr) == (0, b"")


def test_a_changed_weight_fails_a_probe(tmp_path):
    export = exported(tmp_path, "int8")
    plan = export.folder / "src" / "net_plan.c"
    words = re.findall(r"0x[0-9a-f]{16}u", plan.read_text())
    place = first_weights([int(word[2:-1], 16) for word in words]) // 8
    changed = f"0x{int(words[place][2:-1], 16) ^ 0x40:016x}u"
    assert words.count(words[place]) == 1
    plan.write_text(plan.read_text().replace(words[place], changed))
    assert run(compile_here(export, tmp_path / "probes")).returncode != 0


def first_weights(words: list[int]) -> int:
    """Offset of the weights of the first matmul in a plan."""
    plan = np.array(words, "<u8").tobytes()
    header = PLAN_HEADER.unpack_from(plan)
    calls = (PLAN_CALL.unpack_from(plan, header[4] + k * PLAN_CALL.size) for k in range(header[5]))
    params = next(call[4] for call in calls if call[0] == Kernel.MATMUL_S8)
    return MATMUL_PARAMS.unpack_from(plan, params)[5]


@pytest.mark.parametrize("hop", [1, 3])
@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("precision", ["int8", "mixed"])
def test_rows_give_what_the_streaming_classifier_gives(tmp_path, precision, graph, hop):
    model = write_model(tmp_path / "model.tflite", precision, graph, normalization=EACH_FEATURE)
    export = export_c(model, tmp_path / "c", name="net")
    rows = np.random.default_rng(3).normal(20, 9, (17, 3)).astype(np.float32)
    printed = pushed(export, tmp_path / "rows", hop, rows)
    assert printed[0] == f"{export.model_bytes} {export.stream_bytes}"
    expected = []
    with StreamingClassifier(model, engine="numpy", hop=hop) as stream:
        for number, row in enumerate(rows, 1):
            prediction = stream.push(row)
            if prediction is not None:
                logits = [float(value).hex() for value in prediction.logits]
                expected.append((number, [float.fromhex(text) for text in logits], prediction.label))
    assert [parsed(line) for line in printed[1:]] == expected


def pushed(export, program: Path, hop: int, rows: np.ndarray) -> list[str]:
    """What rows.c prints."""
    source = export.folder / "src"
    command = ["gcc", *STRICT, "-O1", f"-I{source}", ROWS_PROGRAM, *sorted(source.glob("*.c"))]
    subprocess.run([*command, "-o", program, "-lm"], check=True)
    return run(program, str(hop), input=rows.tobytes()).stdout.decode().splitlines()


def parsed(line: str) -> tuple[int, list[float], str]:
    number, *logits, label = line.split(" ")
    return int(number), [float.fromhex(value) for value in logits], label


def test_rows_that_are_not_finite_are_refused(tmp_path):
    export = export_c(write_model(tmp_path / "m.tflite", "int8", "step"), tmp_path / "c", name="net")
    rows = np.zeros((4, 3), np.float32)
    rows[0, 1], rows[1, 2], rows[2, 0] = np.nan, np.inf, 3e38
    lines = pushed(export, tmp_path / "rows", 1, rows)
    assert lines[1:3] == ["-1", "-1"]
    assert lines[-1].startswith("4 ")


def test_the_code_needs_memcpy_and_memset_alone(tmp_path):
    for precision, graph in (("int8", "step"), ("mixed", "unrolled"), ("float32", "step")):
        source = exported(tmp_path / precision, precision, graph).folder / "src" / "net.c"
        compiled = tmp_path / "net.o"
        command = ["gcc", *STRICT, "-O2", "-fno-stack-protector", "-c", source, "-o", compiled]
        subprocess.run(command, check=True)
        listed = subprocess.run(["nm", "-u", compiled], capture_output=True, text=True, check=True)
        undefined = {line.split()[-1] for line in listed.stdout.splitlines()}
        assert undefined <= {"memcpy", "memset", "net_plan", "_GLOBAL_OFFSET_TABLE_"}


def test_two_exports_in_one_program(tmp_path):
    """Everything that an export defines starts with its name."""
    sources: list[Path] = []
    for name, precision in (("first", "int8"), ("second", "mixed")):
        file = write_network(tmp_path / f"{name}.tflite", NETWORKS["LSTM"], precision)
        folder = export_c(file, tmp_path / name).folder
        sources += [*folder.glob("src/*.c"), *folder.glob("examples/probes/*.c")]
    main = tmp_path / "both.c"
    main.write_text(
        '#include "first_probes.h"\n#include "second_probes.h"\n'
        "int main(void) { return first_failed_probe() || second_failed_probe(); }\n"
    )
    folders = [
        f"-I{tmp_path / name / part}"
        for name in ("first", "second")
        for part in ("src", "examples/probes")
    ]
    subprocess.run(
        ["gcc", *STRICT, "-O1", *folders, main, *sources, "-o", tmp_path / "both", "-lm"], check=True
    )
    assert run(tmp_path / "both").returncode == 0


@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no g++")
def test_the_header_is_for_cpp_as_well(tmp_path):
    export = exported(tmp_path, "int8", "step")
    program = tmp_path / "main.cpp"
    program.write_text('#include "net.h"\nint main() { return net_labels[0] == nullptr; }\n')
    command = [
        "g++",
        "-Wall",
        "-Wextra",
        "-pedantic",
        "-Werror",
        f"-I{export.folder / 'src'}",
        "-c",
        program,
    ]
    subprocess.run([*command, "-o", tmp_path / "main.o"], check=True)


@pytest.mark.skipif(shutil.which("cmake") is None, reason="there is no cmake")
def test_cmake_builds_it_and_runs_the_probes(tmp_path):
    export = exported(tmp_path, "mixed", "step")
    build = tmp_path / "build"
    for command in (
        ["cmake", "-S", export.folder, "-B", build],
        ["cmake", "--build", build],
        ["cmake", "-E", "chdir", build, "ctest", "--output-on-failure"],
    ):
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_files_are_those_of_an_arduino_and_platformio_library(tmp_path):
    folder = exported(tmp_path, "int8").folder
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    expected = {
        "library.properties",
        "library.json",
        "CMakeLists.txt",
        "README.md",
        "main.c",
        "src/net.h",
    }
    assert files >= {*expected, "examples/probes/probes.ino", "src/edge_rnn/edge_rnn.h"}
    assert not [path for path in folder.rglob("*") if path.is_file() and "@" in path.read_text()]


def test_labels_of_any_kind(tmp_path):
    labels = ('"quoted"', "back\\slash", "größer", "what??=@net@*/")
    model = write_model(tmp_path / "m.tflite", "int8", labels=labels)
    export = export_c(model, tmp_path / "c", name="net")
    printed = pushed(export, tmp_path / "rows", 1, np.zeros((5, 3), np.float32))
    assert printed[-1].split(" ")[-1] in labels


def test_an_existing_folder_is_kept_unless_it_is_an_export_and_overwrite_is_said(tmp_path):
    model, out = write_model(tmp_path / "m.tflite", "int8"), tmp_path / "out"
    out.mkdir()
    (out / "precious.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(InputError, match="not an export of edge-rnn"):
            export_c(model, out, overwrite=overwrite)
    assert [path.name for path in out.iterdir()] == ["precious.txt"]
    (out / "precious.txt").unlink()
    export_c(model, out)
    (out / "stale.c").touch()
    with pytest.raises(InputError, match="pass --overwrite"):
        export_c(model, out)
    export_c(model, out, overwrite=True)
    assert not (out / "stale.c").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"m.tflite", "out"}


@pytest.mark.parametrize("name", ["", "9lives", "two words", "Big", "er", "edge_rnn", "x" * 41])
def test_a_name_that_c_does_not_allow_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="--name: expected a letter"):
        export_c(write_model(tmp_path / "m.tflite", "int8"), tmp_path / "out", name=name)


def test_the_default_name_is_that_of_the_file():
    assert c_name("runs/MNIST-int8 (2).tflite") == "mnist_int8_2"
    assert c_name("9.tflite") == "model_9"
    assert c_name("er.tflite") == "model_er"
    assert c_name("größe.tflite") == "gr_e"


def test_the_command_refuses_in_a_sentence_and_leaves_nothing(tmp_path, monkeypatch):
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"no model at all")
    result = edge_rnn("export-c", broken, "--out", tmp_path / "out")
    assert result.returncode == 2
    assert result.stderr.startswith(f"Error: {broken}: not a TFLite model.")
    model = write_model(tmp_path / "m.tflite", "int8")
    monkeypatch.setenv(LIBRARY_VARIABLE, str(tmp_path / "missing.so"))
    result = edge_rnn("export-c", model, "--out", tmp_path / "out")
    assert result.returncode == 2
    assert "library is missing" in result.stderr
    assert not (tmp_path / "out").exists()


def test_errors_of_the_function(tmp_path, monkeypatch):
    with pytest.raises(ModelError, match="no such file|cannot be read|No such file"):
        export_c(tmp_path / "none.tflite", tmp_path / "out")
    monkeypatch.setenv(LIBRARY_VARIABLE, str(tmp_path / "missing.so"))
    with pytest.raises(EngineError, match="library is missing"):
        export_c(write_model(tmp_path / "m.tflite", "int8"), tmp_path / "out")


def test_the_command_prints_the_sizes(tmp_path):
    model = write_model(tmp_path / "m.tflite", "int8")
    result = edge_rnn("export-c", model, "--out", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    assert "bytes of constants" in result.stdout
    assert "RAM" in result.stdout
