"""Makes the files that the tests of this project are about. Needs PyTorch, and takes a minute.

    python train.py

A small LSTM learns the activities of six people, whose accelerometers are made up. It is exported to
reference.onnx. The held-out windows become held-out.npz, and together with windows for calibration
windows.npz, which is not in git. Then

    edge-rnn convert reference.onnx --data windows.npz --precision int8 --out activity-int8.tflite
    edge-rnn parity reference.onnx activity-int8.tflite --data held-out.npz --json baseline.json

make the model file and the record of its first proof.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

LABELS = ("still", "walking", "running", "stairs")
PEOPLE = ("ann", "bob", "carl", "dora", "emil", "fay")
STEPS = 24


def windows(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows in g `[count, steps, 3]`, classes and the number of the person; each walks differently."""
    random = np.random.default_rng(seed)
    labels, people = random.integers(0, len(LABELS), count), random.integers(0, len(PEOPLE), count)
    tempo = np.array((0.0, 1.7, 2.9, 1.7))[labels] * (0.9 + 0.04 * people)
    swing = np.array((0.02, 0.35, 0.9, 0.35))[labels] * (0.8 + 0.08 * people)
    time = np.arange(STEPS) / 12
    phase = 2 * np.pi * (tempo[:, None] * time + random.random((count, 1)))
    climb = np.where(labels == 3, 0.5, 0.1)[:, None]
    rows = np.stack(
        (swing[:, None] * np.sin(phase), climb * swing[:, None] * np.cos(phase), np.ones_like(phase)),
        axis=2,
    )
    noisy = rows + 0.12 * random.normal(size=rows.shape)
    return noisy.round(2).astype(np.float32), labels, people


class ActivityReader(nn.Module):
    """An LSTM that decides after the last row."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(3, 16, batch_first=True)
        self.head = nn.Linear(16, len(LABELS))

    def forward(self, window: torch.Tensor) -> torch.Tensor:
        """Logits `[N, classes]` of windows `[N, steps, 3]`."""
        _, (state, _) = self.lstm(window)
        return self.head(state[-1])


def main() -> None:
    """Train, export, and keep windows."""
    torch.manual_seed(0)
    x, y, _ = windows(3000, seed=0)
    inputs, classes = torch.from_numpy(x), torch.from_numpy(y)
    model = ActivityReader()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(16):
        for batch in torch.randperm(len(x)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs[batch]), classes[batch]).backward()
            optimizer.step()
    torch.onnx.export(
        model.eval(),
        (inputs[:1],),
        "reference.onnx",
        input_names=["window"],
        output_names=["logits"],
        dynamic_axes={"window": {0: "batch"}},
        dynamo=False,
    )
    held_x, held_y, people = windows(1000, seed=1)
    names = np.array(PEOPLE)[people]
    held = {"labels": LABELS, "x": held_x, "y": held_y, "group": names}
    np.savez_compressed("held-out.npz", **held)
    parts = {"calibration_x": x[:600], "calibration_y": y[:600], "test_x": held_x, "test_y": held_y}
    np.savez_compressed("windows.npz", labels=LABELS, **parts)


if __name__ == "__main__":
    main()
