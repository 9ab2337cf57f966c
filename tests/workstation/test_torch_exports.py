"""PyTorch models as both of its exporters write them to ONNX: the network against ONNX Runtime."""

from __future__ import annotations

import itertools
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from convert.compiler.float_graph.unroll import unroll
from convert.readers.onnx.file import read_onnx
from convert.readers.onnx.read_model import network_from_onnx
from convert.source_model.network import RECURRENT_LAYERS, Attention, Bidirectional, Conv1d, WeightedSum
from edge_runtime import Classifier
from edge_runtime.errors import DataError
from edge_runtime.numpy_engine.interpret import run
from tests.support.commands import ROOT, edge_rnn, succeed
from tests.support.made_once import made_once

if find_spec("torch") is None:
    pytest.skip("PyTorch is not installed", allow_module_level=True)
pytest.importorskip("onnx")

STEPS, FEATURES, TOKENS = 8, 4, 20

TAKEN = ("h[-1]", "h of both", "permute", "transpose", "last", "mean", "max")
ATTENTION = (
    "attention",
    "attention_bmm",
    "attention_einsum",
    "attention_bahdanau",
    "attention_luong",
    "attention_to_itself",
    "attention_scaled",
    "attention_heads",
)
BRANCHING = (
    *ATTENTION,
    "residual",
    "residual_last",
    "mean_and_max",
    "both_summed",
    "ends_summed",
    "both_residual",
    "reversed_by_hand",
    "skip",
    "max_pool",
    "max_pool_ceil",
    "average_pool",
    "average_pool_padded",
    "separable",
    "groups",
    "gated",
    "static",
    "static_in_rows",
    "tokens",
    "tokens_as_floats",
    "parts",
    "parts_pooled",
    "states",
)
NOT_EXPORTED = ("attention_einsum", "attention_scaled")
"""PyTorch's own exporter with dynamo=True fails on some of them, depending on its version."""


def _stacks(kinds, layers, ways, orders, batches) -> list[str]:
    every = itertools.product(kinds, layers, ways, orders, TAKEN, batches)
    return [" ".join(name) for name in every if name[2] == "both" or name[4] != "h of both"]


KINDS, BOTH_WAYS = ("LSTM", "GRU", "RNN"), ("one", "both")
SETS = {
    ("script", "daily"): [
        *_stacks(KINDS, "2", BOTH_WAYS, ["batch"], ["open"]),
        *_stacks(["LSTM"], "13", BOTH_WAYS, ["steps"], ["fixed"]),
        *(f"{name} open" for name in (*BRANCHING, "state_passed_on", "cells")),
    ],
    ("script", "nightly"): [
        *_stacks(KINDS, "123", BOTH_WAYS, ["batch", "steps"], ["open", "fixed"]),
        *(f"{name} fixed" for name in BRANCHING),
    ],
    ("dynamo", "daily"): [
        "LSTM 2 one batch h[-1] open",
        "GRU 2 both batch h of both open",
        "RNN 2 both batch last open",
        "attention_to_itself open",
    ],
    ("dynamo", "nightly"): [
        *_stacks(KINDS, "23", BOTH_WAYS, ["batch"], ["open", "fixed"]),
        *(f"{name} open" for name in BRANCHING if name not in NOT_EXPORTED),
    ],
}
"""(Exporter, tier) -> names of models, see tests/support/torch_exports.py."""


@pytest.fixture(scope="module")
def exported(shared_folder):
    """A function: the file of a model in one of SETS. The whole set is exported at once."""

    def file(exporter, tier, name):
        if exporter == "dynamo":
            pytest.importorskip("onnxscript")
        arguments = [exporter, *SETS[exporter, tier]]

        def export(folder):
            command = [sys.executable, "-m", "tests.support.torch_exports", str(folder), *arguments]
            subprocess.run(command, check=True, capture_output=True, cwd=ROOT)

        return made_once(shared_folder / f"torch-exports-{exporter}-{tier}", export) / f"{name}.onnx"

    return file


def model_windows(name, count=5):
    rng = np.random.default_rng(1)
    if name.startswith("tokens"):
        return rng.integers(0, TOKENS, (count, STEPS, 1)).astype(np.int32)
    x = rng.normal(size=(count, STEPS, FEATURES)).astype(np.float32)
    if name.startswith("static"):
        age = np.repeat(rng.normal(size=(count, 1, 3)), STEPS, axis=1).astype(np.float32)
        return np.concatenate([x, age], axis=2)
    return x


def _read(file, name):
    windows = model_windows(name)
    model = read_onnx(file)
    return model, network_from_onnx(model, *windows.shape[1:]), windows


def _cases():
    for (exporter, tier), names in SETS.items():
        marks = [pytest.mark.nightly] if tier == "nightly" else []
        for name in names:
            if not name.startswith(("state_passed_on", "cells")):
                yield pytest.param(exporter, tier, name, marks=marks, id=f"{exporter}-{tier}-{name}")


@pytest.mark.parametrize(("exporter", "tier", "name"), list(_cases()))
def test_network_computes_what_onnx_runtime_computes(exported, exporter, tier, name):
    model, reading, windows = _read(exported(exporter, tier, name), name)
    expected = reading.evaluate(model, windows.astype(np.float32))
    found = run(unroll(reading.network), windows)
    assert np.ptp(found, axis=0).max() > 0.005  # the windows make a difference
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=2e-6)


def test_stacks_are_chains_of_whole_layers(exported):
    for exporter in ("script", "dynamo"):
        name = "RNN 2 both batch h of both open" if exporter == "script" else SETS["dynamo", "daily"][1]
        _, reading, _ = _read(exported(exporter, "daily", name), name)
        kinds = [type(layer) for layer in reading.network.layers]
        assert kinds[:2] == [Bidirectional, Bidirectional]
        assert len(kinds) == 3


def test_sums_of_both_directions_are_one_layer(exported):
    for name in ("both_summed", "ends_summed"):
        _, reading, _ = _read(exported("script", "daily", f"{name} open"), name)
        assert isinstance(reading.network.layers[0], Bidirectional)
        assert reading.network.layers[0].merge == "sum"


def test_each_recurrent_layer_is_computed_once(exported):
    for name in ("attention_bahdanau", "residual", "mean_and_max", "both_residual", "skip"):
        _, reading, _ = _read(exported("script", "daily", f"{name} open"), name)
        kernels = [id(x.kernel) for x in reading.network.layers if isinstance(x, RECURRENT_LAYERS)]
        assert len(kernels) == len(set(kernels)), name


def test_attention_and_separable_convolutions_are_recognized(exported):
    for name in ATTENTION:
        _, reading, _ = _read(exported("script", "daily", f"{name} open"), name)
        assert any(isinstance(x, (Attention, WeightedSum)) for x in reading.network.layers), name
    _, reading, _ = _read(exported("script", "daily", "separable open"), "separable")
    assert sum(isinstance(layer, Conv1d) for layer in reading.network.layers) == 1


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("state_passed_on", r"(LSTM) starts from a state that depends on the window, such as another"),
        ("cells", "A recurrence that is written out is not recognized. Export it as an LSTM, GRU"),
    ],
)
def test_other_recurrences_are_refused(exported, name, sentence):
    with pytest.raises(DataError) as raised:
        _read(exported("script", "daily", f"{name} open"), name)
    assert sentence in str(raised.value)


def test_states_tokens_and_static_inputs_through_the_command(exported, tmp_path):
    for name, precision in (("states", "float32"), ("tokens", "int8"), ("static", "mixed")):
        model, data = exported("script", "daily", f"{name} open"), tmp_path / f"{name}.npz"
        windows = model_windows(name, 1200)
        file, reading, _ = _read(model, name)
        logits = reading.evaluate(file, windows.astype(np.float32))
        np.savez(data, x=windows, y=logits.argmax(axis=1))
        out = tmp_path / f"{name}.tflite"
        options = ("--data", data, "--precision", precision, "--min-agreement", "0.9", "--out", out)
        printed = succeed(edge_rnn("convert", model, *options))
        said = "Initial states that are inputs of the model (h0, c0) are zero for every window."
        assert (said in printed) == (name == "states")
        with Classifier(out) as classifier:
            found = classifier.logits(windows[:50])
        tolerance = {"states": 1e-5, "tokens": 0.1, "static": 0.1}[name]
        np.testing.assert_allclose(found, logits[:50], atol=tolerance)
