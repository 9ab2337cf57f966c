"""A PyTorch LSTM: train, export to ONNX, convert, predict.

    pip install torch onnx onnxruntime      # beside edge-rnn
    python examples/onnx_from_pytorch.py

The example trains an LSTM in PyTorch on the windows of a made-up accelerometer and exports it.
`edge-rnn convert` reads the ONNX file without PyTorch. The example prints PyTorch's own accuracy, the
proof of the int8 file against the full model, which ONNX Runtime computes, and the class of one window.
It takes about 15 seconds. Everything is written to the folder onnx-from-pytorch in the working
directory, or to the one that --out names.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import nn

from accelerometer import LABELS, windows
from command import edge_rnn


class ActivityReader(nn.Module):
    """Reads a window row by row, and decides after the last one.

    The normalization is part of the model, so that the exported file takes raw rows in g.
    """

    def __init__(self, mean: torch.Tensor, std: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        self.lstm = nn.LSTM(3, 32, batch_first=True)
        self.head = nn.Linear(32, len(LABELS))

    def forward(self, window: torch.Tensor) -> torch.Tensor:
        """Logits `[N, classes]` of windows `[N, steps, 3]`."""
        rows, _ = self.lstm((window - self.mean) / self.std)
        return self.head(rows[:, -1])


def train(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> None:
    """Run Adam for eight epochs, in batches of 64."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for _ in range(8):
        for batch in torch.randperm(len(x)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
            optimizer.step()


def export(model: nn.Module, window: torch.Tensor, path: Path) -> None:
    """Write the ONNX file, which takes any number of windows at once."""
    torch.onnx.export(
        model,
        (window,),
        str(path),
        input_names=["window"],
        output_names=["logits"],
        dynamic_axes={"window": {0: "batch"}},
        dynamo=False,  # files of the newer exporter, which needs onnxscript, are read as well
    )


def main() -> None:
    """Train, export, convert and predict in one folder."""
    parser = argparse.ArgumentParser(description="Train in PyTorch, export to ONNX, convert, predict.")
    parser.add_argument("--out", type=Path, default=Path("onnx-from-pytorch"), help="folder to write")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)

    x, y = windows(4000, seed=0)
    test_x, test_y = windows(1500, seed=1)
    torch.manual_seed(0)
    inputs = torch.from_numpy(x)
    model = ActivityReader(inputs.mean(dim=(0, 1)), inputs.std(dim=(0, 1)))
    train(model, inputs, torch.from_numpy(y))
    model.eval()
    with torch.no_grad():
        predicted = model(torch.from_numpy(test_x)).argmax(dim=1).numpy()
    accuracy = (predicted == test_y).mean()
    print(f"PyTorch: {accuracy:.1%} of {len(test_y):,} test windows are right")

    # The training windows calibrate the quantization, the test windows prove it.
    parts = {"calibration_x": x, "calibration_y": y, "test_x": test_x, "test_y": test_y}
    np.savez(out / "windows.npz", labels=LABELS, **parts)
    export(model, inputs[:1], out / "activity.onnx")
    model_file = out / "activity-int8.tflite"
    options = ("--precision", "int8", "--out", model_file)
    edge_rnn("convert", out / "activity.onnx", "--data", out / "windows.npz", *options)

    np.save(out / "window.npy", test_x[0])
    print(f"\n{out / 'window.npy'}: {LABELS[test_y[0]]}, for PyTorch {LABELS[predicted[0]]}")
    edge_rnn("predict", model_file, out / "window.npy", "--top", 2)


if __name__ == "__main__":
    main()
