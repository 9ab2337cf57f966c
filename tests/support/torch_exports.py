"""Models as people write them in PyTorch, exported to ONNX by both exporters.

    python -m tests.support.torch_exports FOLDER script|dynamo NAME...

A name is a function of this module, or describes a stack, and says whether the batch is fixed or open:
"attention open", "LSTM 2 both batch h[-1] fixed".
"""

from __future__ import annotations

import logging
import math
import sys
import warnings
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

STEPS, FEATURES, TOKENS = 8, 4, 20

TAKES = {
    "h[-1]": lambda out, h: h[-1],
    "h of both": lambda out, h: torch.cat([h[-2], h[-1]], 1),
    "permute": lambda out, h: h.permute(1, 0, 2).reshape(out.shape[0], -1),
    "transpose": lambda out, h: h.transpose(0, 1).reshape(out.shape[0], -1),
    "last": lambda out, h: out[:, -1],
    "mean": lambda out, h: out.mean(1),
    "max": lambda out, h: out.max(1)[0],
}


class Stack(nn.Module):
    """A recurrent module of PyTorch, and a linear layer on what is taken of its output."""

    def __init__(self, kind, layers, way, order, take):
        super().__init__()
        self.take, self.steps_first = TAKES[take], order == "steps"
        both = way == "both"
        self.body = getattr(nn, kind)(
            FEATURES, 6, layers, batch_first=not self.steps_first, bidirectional=both
        )
        states = layers * (1 + both) if take in ("permute", "transpose") else 1 + both
        self.head = nn.Linear(6 if take == "h[-1]" else 6 * states, 3)

    def forward(self, x):
        out, state = self.body(x.transpose(0, 1) if self.steps_first else x)
        h = state[0] if isinstance(state, tuple) else state
        return self.head(self.take(out.transpose(0, 1) if self.steps_first else out, h))


class Parts(nn.Module):
    """Everything that the models below are made of."""

    def __init__(self, forward):
        super().__init__()
        self.of = forward
        self.lstm = nn.LSTM(FEATURES, 6, batch_first=True)
        self.other = nn.LSTM(6, 6, batch_first=True)
        self.gru = nn.GRU(FEATURES, 6, batch_first=True, bidirectional=True)
        self.cell = nn.LSTMCell(FEATURES, 6)
        self.long = nn.LSTM(15, 6, batch_first=True)
        self.short = nn.LSTM(5, 6, batch_first=True)
        self.hidden, self.query, self.key, self.value = (nn.Linear(6, 6) for _ in range(4))
        self.energy, self.score, self.start = nn.Linear(6, 5), nn.Linear(5, 1), nn.Linear(6, 5)
        self.window = nn.Linear(FEATURES, 6)
        self.heads = nn.MultiheadAttention(6, 2, batch_first=True)
        self.conv = nn.Conv1d(FEATURES, 6, 3, padding=1)
        self.gates = nn.Conv1d(FEATURES, 12, 3, padding=1)
        self.groups = nn.Conv1d(FEATURES, 6, 3, groups=2)
        self.depth = nn.Conv1d(FEATURES, FEATURES, 3, padding=1, groups=FEATURES)
        self.point = nn.Conv1d(FEATURES, 6, 1)
        self.part = nn.Conv1d(FEATURES, 5, 2)
        self.batch_norm, self.norm = nn.BatchNorm1d(6), nn.LayerNorm(6)
        self.table = nn.Embedding(TOKENS, 6)
        self.fc, self.fc9, self.fc12 = nn.Linear(6, 3), nn.Linear(9, 3), nn.Linear(12, 3)

    def forward(self, *inputs):
        return self.of(self, *inputs)


def attention(m, x):
    out, _ = m.lstm(x)
    weights = torch.softmax(m.score(torch.tanh(m.energy(out))), dim=1)
    return m.fc((weights * out).sum(1))


def attention_bmm(m, x):
    out, _ = m.lstm(x)
    weights = torch.softmax(m.score(torch.tanh(m.energy(out))), dim=1)
    return m.fc(torch.bmm(weights.transpose(1, 2), out).squeeze(1))


def attention_einsum(m, x):
    out, _ = m.lstm(x)
    weights = torch.softmax(m.score(m.energy(out)).squeeze(-1), dim=-1)
    return m.fc(torch.einsum("bt,btn->bn", weights, out))


def attention_bahdanau(m, x):
    out, (h, _) = m.lstm(x)
    energy = torch.tanh(m.energy(out) + m.start(h[-1]).unsqueeze(1))
    return m.fc((torch.softmax(m.score(energy), dim=1) * out).sum(1))


def attention_luong(m, x):
    out, (h, _) = m.lstm(x)
    weights = torch.softmax(torch.bmm(out, m.hidden(h[-1]).unsqueeze(2)).squeeze(2), 1)
    context = torch.bmm(weights.unsqueeze(1), out).squeeze(1)
    return m.fc12(torch.cat([context, h[-1]], 1))


def attention_to_itself(m, x):
    out, _ = m.lstm(x)
    weights = torch.softmax(m.query(out) @ m.key(out).transpose(1, 2) / math.sqrt(6), -1)
    return m.fc((weights @ m.value(out)).mean(1))


def attention_scaled(m, x):
    out, _ = m.lstm(x)
    return m.fc(functional.scaled_dot_product_attention(m.query(out), m.key(out), m.value(out))[:, -1])


def attention_heads(m, x):
    out, _ = m.lstm(x)
    return m.fc(m.heads(out, out, out, need_weights=False)[0].mean(1))


def residual(m, x):
    out, _ = m.lstm(x)
    return m.fc(m.norm(out + m.other(out)[0]).mean(1))


def residual_last(m, x):
    out, _ = m.lstm(x)
    return m.fc((out * torch.sigmoid(m.hidden(out)) - m.window(x))[:, -1])


def mean_and_max(m, x):
    out, _ = m.lstm(x)
    return m.fc12(torch.cat([out.mean(1), out.max(1)[0]], 1))


def both_summed(m, x):
    out, _ = m.gru(x)
    return m.fc((out[..., :6] + out[..., 6:]).mean(1))


def ends_summed(m, x):
    _, h = m.gru(x)
    return m.fc(h.view(1, 2, -1, 6)[-1].sum(0))


def both_residual(m, x):
    out, _ = m.gru(x)
    return m.fc12((out + torch.tanh(out)).max(1)[0])


def reversed_by_hand(m, x):
    backwards = torch.flip(m.lstm(torch.flip(x, [1]))[0], [1])
    return m.fc12(torch.cat([m.lstm(x)[0], backwards], 2).mean(1))


def skip(m, x):
    rows = m.conv(x.transpose(1, 2)).transpose(1, 2)
    return m.fc12(torch.cat([m.other(rows)[0], rows], 2).mean(1))


def max_pool(m, x):
    rows = functional.max_pool1d(torch.relu(m.conv(x.transpose(1, 2))), 3, 2, 1)
    return m.fc(m.other(rows.transpose(1, 2))[0][:, -1])


def max_pool_ceil(m, x):
    rows = functional.max_pool1d(m.conv(x.transpose(1, 2)), 3, 2, ceil_mode=True)
    return m.fc(m.other(rows.transpose(1, 2))[0][:, -1])


def average_pool(m, x):
    rows = functional.avg_pool1d(functional.elu(m.conv(x.transpose(1, 2))), 2)
    return m.fc(m.other(rows.transpose(1, 2))[0][:, -1])


def average_pool_padded(m, x):
    rows = functional.avg_pool1d(m.conv(x.transpose(1, 2)), 3, 2, 1, count_include_pad=False)
    return m.fc(m.other(rows.transpose(1, 2))[0][:, -1])


def separable(m, x):
    rows = torch.relu(m.batch_norm(m.point(m.depth(x.transpose(1, 2)))))
    return m.fc(m.other(rows.transpose(1, 2))[0][:, -1])


def groups(m, x):
    rows = functional.hardsigmoid(m.groups(x.transpose(1, 2)))
    return m.fc(m.other(rows.transpose(1, 2))[0][:, -1])


def gated(m, x):
    rows = functional.hardswish(functional.silu(functional.glu(m.gates(x.transpose(1, 2)), 1)))
    return m.fc(m.other(functional.relu6(functional.leaky_relu(rows)).transpose(1, 2))[0][:, -1])


def static(m, x, age):
    return m.fc9(torch.cat([m.lstm(x)[0][:, -1], age], 1))


def static_in_rows(m, x, age):
    rows = age.unsqueeze(1).expand(-1, STEPS, -1)
    return m.fc9(torch.cat([m.lstm(x)[0], rows], 2).mean(1))


def tokens(m, x):
    return m.fc(m.other(m.table(x))[0][:, -1])


def tokens_as_floats(m, x):
    return m.fc(m.other(m.table(x.squeeze(-1).long()))[0][:, -1])


def parts(m, x):
    batch, count, steps, features = x.shape
    rows = torch.relu(m.part(x.reshape(batch * count, steps, features).transpose(1, 2)))
    return m.fc(m.long(rows.flatten(1).reshape(batch, count, -1))[0][:, -1])


def parts_pooled(m, x):
    batch, count, features, steps = x.shape
    rows = functional.max_pool1d(torch.relu(m.part(x.reshape(batch * count, features, steps))), 3)
    return m.fc(m.short(rows.reshape(batch, count, -1))[0][:, -1])


def states(m, x, h0, c0):
    return m.fc(m.lstm(x, (h0, c0))[1][0][-1])


def state_passed_on(m, x):
    out, state = m.lstm(x)
    return m.fc(m.other(out, state)[0][:, -1])


def cells(m, x):
    h = c = torch.zeros(x.shape[0], 6)
    for step in range(STEPS):
        h, c = m.cell(x[:, step], (h, c))
    return m.fc(h)


BRANCHING = (
    attention,
    attention_bmm,
    attention_einsum,
    attention_bahdanau,
    attention_luong,
    attention_to_itself,
    attention_scaled,
    attention_heads,
    residual,
    residual_last,
    mean_and_max,
    both_summed,
    ends_summed,
    both_residual,
    reversed_by_hand,
    skip,
    max_pool,
    max_pool_ceil,
    average_pool,
    average_pool_padded,
    separable,
    groups,
    gated,
    static,
    static_in_rows,
    tokens,
    tokens_as_floats,
    parts,
    parts_pooled,
    states,
)
REFUSED = (state_passed_on, cells)


def inputs(name: str, batch: int):
    """Random inputs of a model, and the axis of the batch in each."""
    x, axes = torch.randn(batch, STEPS, FEATURES), {"x": 0}
    if name.startswith("static"):
        return (x, torch.randn(batch, 3)), {"x": 0, "age": 0}
    if name == "states":
        return (x, torch.zeros(1, batch, 6), torch.zeros(1, batch, 6)), {"x": 0, "h0": 1, "c0": 1}
    if name == "tokens":
        return (torch.randint(0, TOKENS, (batch, STEPS)),), axes
    if name == "tokens_as_floats":
        return (torch.randint(0, TOKENS, (batch, STEPS, 1)).float(),), axes
    if name.startswith("parts"):
        x = x.reshape(batch, 2, STEPS // 2, FEATURES)
        return (x.transpose(2, 3) if name == "parts_pooled" else x,), axes
    return (x,), axes


def export(name: str, batch: str, exporter: str, file: Path) -> None:
    """Write one model; `batch` is fixed or open, `exporter` script or dynamo."""
    torch.manual_seed(0)
    named = {model.__name__: model for model in (*BRANCHING, *REFUSED)}
    if name in named:
        model = Parts(named[name])
    else:
        kind, layers, way, order, take = name.split(" ", 4)
        model = Stack(kind, int(layers), way, order, take)
    dynamo = exporter == "dynamo"
    given, axes = inputs(name, 2 if dynamo and batch == "open" else 1)
    options = {}
    if batch == "open" and dynamo:
        size = torch.export.Dim("batch")
        shapes = tuple({axis: size} for axis in axes.values())
        options["dynamic_shapes"] = (shapes,) if name in named else shapes
    elif batch == "open":
        options["dynamic_axes"] = {name: {axis: "batch"} for name, axis in axes.items()}
    torch.onnx.export(
        model.eval(),
        given,
        str(file),
        input_names=list(axes),
        output_names=["logits"],
        dynamo=dynamo,
        verbose=False,
        **options,
    )


def main() -> None:
    """Export the models that the arguments name."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    folder, exporter, *names = sys.argv[1:]
    for name in names:
        model, _, batch = name.rpartition(" ")
        export(model, batch, exporter, Path(folder, f"{name}.onnx"))


if __name__ == "__main__":
    main()
