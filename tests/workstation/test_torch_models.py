"""PyTorch models through the real command: state dicts, and PyTorch's exports to ONNX."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from edge_runtime import Classifier
from tests.support.commands import ENGINES, edge_rnn, succeed

if find_spec("torch") is None:
    pytest.skip("PyTorch is not installed", allow_module_level=True)

SAVE = """
import sys
import numpy as np
import torch
from torch import nn

class Model(nn.Module):
    def __init__(self, kind, layers, both):
        super().__init__()
        self.body = getattr(nn, kind)(5, 12, layers, batch_first=True, bidirectional=both)
        self.head = nn.Linear(24 if both else 12, 3)

    def forward(self, x):
        return self.head(self.body(x)[0][:, -1])

kind, layers, both, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "both", sys.argv[4]
torch.manual_seed(0)
model = Model(kind, layers, both).eval()
x = np.random.default_rng(0).normal(0, 1, (1500, 9, 5)).astype(np.float32)
with torch.no_grad():
    logits = model(torch.from_numpy(x)).numpy()
np.savez(f"{folder}/windows.npz", x=x, y=logits.argmax(axis=1))
np.save(f"{folder}/logits.npy", logits)
torch.save(model.state_dict(), f"{folder}/model.pt")
torch.onnx.export(
    model, (torch.from_numpy(x[:1]),), f"{folder}/model.onnx", input_names=["x"],
    output_names=["logits"], dynamic_axes={"x": {0: "batch"}}, dynamo=False,
)
"""

MODELS = [("LSTM", 2, "one way"), ("GRU", 1, "both"), ("RNN", 1, "one way"), ("LSTM", 2, "both")]


@pytest.fixture(scope="module", params=MODELS, ids=lambda model: " ".join(map(str, model)))
def saved(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("torch")
    arguments = [*map(str, request.param), str(folder)]
    subprocess.run(
        [sys.executable, "-c", SAVE, *arguments], check=True, capture_output=True, timeout=600
    )
    return folder


first_model = pytest.mark.parametrize("saved", MODELS[:1], indirect=True, ids=["LSTM"])
"""For tests to which it makes no difference which model it is."""


@pytest.mark.parametrize("name", ["model.pt", "model.onnx"])
def test_file_computes_what_pytorch_computes(saved, name):
    if name.endswith(".onnx"):
        pytest.importorskip("onnx")
    data, out = saved / "windows.npz", saved / f"{name}.tflite"
    arguments = ("--data", data, "--precision", "float32", "--out", out)
    assert "100.00 %" in succeed(edge_rnn("convert", saved / name, *arguments))
    x, expected = np.load(data)["x"][:200], np.load(saved / "logits.npy")[:200]
    for engine in ENGINES:
        with Classifier(out, engine=engine, verify=True) as classifier:
            np.testing.assert_allclose(classifier.logits(x), expected, atol=1e-5)


def test_int8(saved):
    arguments = ("--data", saved / "windows.npz", "--out", saved / "int8.tflite")
    succeed(edge_rnn("convert", saved / "model.pt", *arguments, "--min-agreement", "0.95"))


NORMALIZED = """
import sys
import numpy as np
import torch
from torch import nn

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.BatchNorm1d(5)
        self.body = nn.GRU(5, 12, batch_first=True)
        self.norm = nn.LayerNorm(12)
        self.head = nn.Linear(12, 3)

    def forward(self, x):
        x = self.scale(x.transpose(1, 2)).transpose(1, 2)
        return self.head(self.norm(self.body(x)[0][:, -1]))

torch.manual_seed(0)
model = Model()
x = torch.randn(1500, 9, 5) * 3 + 1
with torch.no_grad():
    model(x)  # moves the batch normalization's mean and variance
    nn.init.normal_(model.norm.weight), nn.init.normal_(model.norm.bias)
    logits = model.eval()(x).numpy()
np.savez(f"{sys.argv[1]}/windows.npz", x=x.numpy())
np.save(f"{sys.argv[1]}/logits.npy", logits)
torch.save(model.state_dict(), f"{sys.argv[1]}/model.pt")
"""


def test_normalization_in_front_and_behind(tmp_path):
    subprocess.run([sys.executable, "-c", NORMALIZED, str(tmp_path)], check=True, capture_output=True)
    data, out = tmp_path / "windows.npz", tmp_path / "model.tflite"
    arguments = ("--data", data, "--task", "classification", "--precision", "float32", "--out", out)
    succeed(edge_rnn("convert", tmp_path / "model.pt", *arguments))
    x, expected = np.load(data)["x"][:200], np.load(tmp_path / "logits.npy")[:200]
    for engine in ENGINES:
        with Classifier(out, engine=engine) as classifier:
            np.testing.assert_allclose(classifier.logits(x), expected, atol=1e-5)


@first_model
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("state['body.weight_hr_l0'] = torch.zeros(4, 12)", "proj"),
        ("del state['head.weight'], state['head.bias']", "Linear"),
        ("state['other.weight'] = torch.zeros(3, 3, 3)", "other"),
        ("state = [1, 2]", "state dict"),
    ],
)
def test_other_state_dicts_are_refused(saved, tmp_path, change, sentence):
    file = tmp_path / "changed.pt"
    script = f"import torch; state = torch.load({str(saved / 'model.pt')!r}); {change}; "
    subprocess.run([sys.executable, "-c", f"{script}torch.save(state, {str(file)!r})"], check=True)
    result = edge_rnn("convert", file, "--data", saved / "windows.npz")
    assert result.returncode == 2, result.stdout
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr


OTHER_FILES = """
import sys, warnings
import torch
from torch import nn

warnings.simplefilter("ignore")

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.LSTM(5, 12, batch_first=True), nn.Linear(12, 3)

for name, kinds in (("lstm", {nn.LSTM, nn.Linear}), ("linear", {nn.Linear})):
    quantized = torch.ao.quantization.quantize_dynamic(Model().eval(), kinds, dtype=torch.qint8)
    torch.save(quantized.state_dict(), f"{sys.argv[1]}/{name}.pt")
torch.save(Model(), f"{sys.argv[1]}/whole.pt")
"""


@first_model
def test_quantized_and_whole_models_are_told_apart(saved, tmp_path):
    command = [sys.executable, "-c", OTHER_FILES, str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True)
    quantized = (
        "is of a model that torch.ao has quantized. Convert the float model that it was made from"
    )
    for name, sentence in (
        ("lstm", quantized),
        ("linear", quantized),
        ("whole", "of class __main__.Model"),
    ):
        result = edge_rnn("convert", tmp_path / f"{name}.pt", "--data", saved / "windows.npz")
        assert result.returncode == 2
        assert sentence in result.stderr
        assert len(result.stderr.splitlines()) == 1


@first_model
def test_broken_files_are_refused(saved, tmp_path):
    for name in ("broken.pt", "broken.onnx"):
        (tmp_path / name).write_bytes(b"nothing of the kind" * 10)
        result = edge_rnn("convert", tmp_path / name, "--data", saved / "windows.npz")
        assert result.returncode == 2
        assert name in result.stderr
        assert "Traceback" not in result.stderr
