"""Golden vectors, replayed through exported C and through the engine, bit for bit."""

from __future__ import annotations

import csv
import json
import re
import subprocess

import numpy as np
import pytest

from convert.c_export.export import export_c
from convert.evidence.vectors import check_vectors_folder, choose_vectors, write_model_vectors
from edge_runtime.engines.engine import NATIVE, open_interpreter
from edge_runtime.errors import InputError
from edge_runtime.model_file.metadata import STEP
from edge_runtime.model_file.normalization import Normalization
from edge_runtime.model_file.read_file import read_model_file
from tests.support.branching_networks import branching_networks
from tests.support.exported import STRICT, write_network
from tests.support.networks import random_network, random_windows

PIXELS = Normalization((128.0,), (64.0,), "uint8")
FLOATS = Normalization((0.5, 1.0, -2.0), (2.0, 1.0, 0.1))

CASES = [
    ("int8", "unrolled", PIXELS),
    ("int8", "step", FLOATS),
    ("int16x8", "unrolled", FLOATS),
    ("float32", "step", PIXELS),
    ("int8", "unrolled", Normalization.of_tokens(30)),
]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0]}-{case[1]}-{case[2].dtype}")
def vectors(request, tmp_path_factory):
    """The model file and the folder with its vectors."""
    precision, graph, normalization = request.param
    folder = tmp_path_factory.mktemp("vectors")
    network = branching_networks()["tokens"] if normalization.tokens else random_network()
    model = write_network(folder / "net.tflite", network, precision, graph, normalization)
    raw = random_windows(network, 5)
    if not normalization.tokens:
        raw = raw * np.float32(normalization.std[0]) + np.float32(normalization.mean[0])
    windows = np.clip(raw, 0, 255).astype(np.uint8) if normalization is PIXELS else raw
    write_model_vectors(folder / "golden", model, windows, [3, 7, 9, 11, 40])
    return model, folder / "golden"


def test_exported_c_replays_them(vectors, tmp_path):
    model, folder = vectors
    exported = export_c(model, tmp_path / "export", name="net")
    program = tmp_path / "replay"
    sources = [folder / "net_replay.c", *sorted((exported.folder / "src").glob("*.c"))]
    includes = [f"-I{exported.folder / 'src'}", f"-I{folder}"]
    command = ["gcc", *STRICT, "-O2", "-ffp-contract=off", *includes, *map(str, sources)]
    subprocess.run([*command, "-o", str(program), "-lm"], check=True)
    assert subprocess.run([program], check=False).returncode == 0
    header = folder / "net_vectors.h"
    wrong = tmp_path / "net_vectors.h"
    before, after = header.read_text().split("vector_outputs", 1)
    first = re.search(r"-?\b(0x)?[0-9a-f]+u?,", after)[0]
    other = "0x1u," if "x" in first else f"{int(first[:-1]) ^ 1},"
    wrong.write_text(before + "vector_outputs" + after.replace(first, other, 1))
    (tmp_path / "net_replay.c").write_text((folder / "net_replay.c").read_text())
    sources[0], includes[1] = tmp_path / "net_replay.c", f"-I{tmp_path}"
    command = ["gcc", "-O2", "-ffp-contract=off", *includes, *map(str, sources)]
    subprocess.run([*command, "-o", str(program), "-lm"], check=True)
    assert subprocess.run([program], check=False).returncode == 1


def test_the_arrays_replay_in_the_engine(vectors):
    model, folder = vectors
    file = read_model_file(model)
    inputs, outputs, logits = (
        np.load(folder / f"{name}.npy") for name in ("inputs", "outputs", "logits")
    )
    interpreter = open_interpreter(file.flatbuffer, engine=NATIVE, kernels="plain")
    row, *before = interpreter.get_input_details()
    result, *after = interpreter.get_output_details()
    assert (inputs.dtype, outputs.dtype) == (row["dtype"], result["dtype"])
    for window, expected, real in zip(inputs, outputs, logits):
        for detail in before:
            zero = detail["quantization"][1]
            interpreter.set_tensor(detail["index"], np.full(detail["shape"], zero, detail["dtype"]))
        for part in window if file.metadata.graph == STEP else [window]:
            interpreter.set_tensor(row["index"], part[np.newaxis])
            interpreter.invoke()
            states = [interpreter.get_tensor(detail["index"]) for detail in after]
            found = interpreter.get_tensor(result["index"])[0]
            for detail, state in zip(before, states):
                interpreter.set_tensor(detail["index"], state)
        assert found.tobytes() == expected.tobytes()
        scale, zero = result["quantization"]
        np.testing.assert_array_equal(
            real, found if scale == 0 else (found - np.float32(zero)) * np.float32(scale)
        )


def test_the_csv_files_and_the_record_say_the_same(vectors):
    _, folder = vectors
    record = json.loads((folder / "vectors.json").read_text())
    assert record["windows"] == [3, 7, 9, 11, 40]
    for name in ("raw", "inputs", "outputs", "logits"):
        values = np.load(folder / f"{name}.npy")
        with (folder / f"{name}.csv").open() as file:
            rows = np.array([[float(cell) for cell in line] for line in csv.reader(file)])
        np.testing.assert_array_equal(rows.astype(values.dtype), values.reshape(len(values), -1))
        assert record["shapes"][name] == list(values.shape)
        assert record["dtypes"][name] == str(values.dtype)


def test_the_worst_windows_are_among_the_chosen_ones():
    positions = np.arange(100, 1100)
    chosen = choose_vectors(positions, [105, 700, 105])
    assert {5, 600, 0, 999} <= set(chosen)
    assert len(chosen) <= 20
    assert chosen == sorted(chosen)
    assert choose_vectors(positions[:3], [102]) == [0, 1, 2]


def test_only_vectors_are_replaced(vectors, tmp_path):
    model, _ = vectors
    (tmp_path / "net").mkdir()
    check_vectors_folder(tmp_path, [model])
    (tmp_path / "net" / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match="net: exists and holds no vectors"):
        check_vectors_folder(tmp_path, [model])
    (tmp_path / "net" / "vectors.json").write_text("{}")
    check_vectors_folder(tmp_path, [model])
    with pytest.raises(InputError, match="two models have the same name"):
        check_vectors_folder(tmp_path, [model, tmp_path / "other" / "net.tflite"])
