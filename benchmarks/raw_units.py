"""Measures what features of unlike units cost in each precision (docs/guides/precisions.md).

    python -m benchmarks.raw_units

A small LSTM classifier of three kinds of signals, with logits fitted by least squares, reads windows
of a pressure (1013 +- 40) and an acceleration (0 +- 0.01). The same model is converted as it reads
scaled windows, with its scaling as a first layer, with it multiplied into the first matrix, and as the
compiler would have either of these if it left the windows as they are. Runs in numpy only, on windows
that calibration has not seen. Prints Markdown.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from convert.compiler.compile import lower
from convert.compiler.float_graph.unroll import unroll
from convert.even_features import even_features
from convert.proof.row_parity import numpy_logits
from convert.source_model.fold import fold
from convert.source_model.network import Affine, Dense, Lstm, Network
from convert.source_model.source_model import SourceModel
from convert.source_model.window_scaling import leading_scaling, rescaled
from convert.targets.target import TARGETS
from edge_runtime.model_file.normalization import Normalization
from edge_runtime.numpy_engine.interpret import run
from edge_runtime.runs.labelled_windows import LabelledWindows

STEPS, UNITS, CLASSES = 20, 24, 3
MEAN, STD = (1013.0, 0.0), (40.0, 0.01)
RATIOS = (1, 2, 4, 8, 16, 32, 100)
"""Of the first feature's standard deviation to the second's, in the second table."""

COUNTS = {"fit": 3000, "calibration": 500, "test": 2000}
PRECISIONS = {
    "float32": "any",
    "float16": "any",
    "dynamic": "any",
    "int4": "litert-2.1",
    "int16x8": "any",
    "mixed": "any",
    "int8": "any",
}

Windows = NDArray[np.float32]


@dataclass(frozen=True)
class Variant:
    """A way in which the same model can meet the compiler."""

    name: str
    network: Network
    normalization: Normalization


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    rng = np.random.default_rng(0)
    scaled = {name: signals(rng, count) for name, count in COUNTS.items()}
    network = fitted_network(rng, *scaled["fit"])
    logits = run(unroll(network), scaled["test"][0])
    accuracy = (logits.argmax(axis=1) == scaled["test"][1]).mean()
    print(f"{COUNTS['test']:,} windows; accuracy of the float network {100 * accuracy:.1f} %.\n")
    raw, found = variants(network, scaled, MEAN, STD)
    print(f"| precision | {' | '.join(item.name for item in found)} |")
    print("|" + " --- |" * (1 + len(found)))
    for precision, target in PRECISIONS.items():
        cells = [agreement(item, raw, logits, precision, target) for item in found]
        print(f"| {precision} | {' | '.join(cells)} |")
    print("\nWithout a scaling layer:\n")
    print("| ratio | int8, raw | int8, as converted | dynamic, raw | dynamic, as converted |")
    print("|" + " --- |" * 5)
    for ratio in RATIOS:
        raw, found = variants(network, scaled, (0.0, 0.0), (1.0, 1 / ratio))
        cells = [
            agreement(item, raw, logits, precision, "any")
            for precision in ("int8", "dynamic")
            for item in (found[1], found[3])
        ]
        print(f"| 1:{ratio} | {' | '.join(cells)} |")


def signals(rng: np.random.Generator, count: int) -> tuple[Windows, NDArray[np.int64]]:
    """Windows of mean 0 and standard deviation 1, and their classes: whether the second feature follows
    the first one, its negative, or neither."""
    classes = rng.integers(0, CLASSES, count)
    base = np.cumsum(rng.normal(0, 0.5, (count, STEPS)), axis=1)
    other = np.cumsum(rng.normal(0, 0.5, (count, STEPS)), axis=1)
    second = np.where(classes[:, None] == 0, base, np.where(classes[:, None] == 1, -base, other))
    x = np.stack([base, second + rng.normal(0, 0.1, base.shape)], axis=-1)
    return ((x - x.mean(axis=(0, 1))) / x.std(axis=(0, 1))).astype(np.float32), classes


def fitted_network(rng: np.random.Generator, x: Windows, y: NDArray[np.int64]) -> Network:
    """A random LSTM, and a dense layer on it fitted to logits of +-5."""
    gates = 4 * UNITS
    lstm = Lstm(
        "lstm",
        rng.normal(0, 0.7, (gates, 2)).astype(np.float32),
        rng.normal(0, 1 / np.sqrt(UNITS), (gates, UNITS)).astype(np.float32),
        np.repeat(np.float32([0, 1, 0, 0]), UNITS),
    )
    readout = Dense("dense", np.eye(UNITS, dtype=np.float32), np.zeros(UNITS, np.float32))
    states = run(unroll(Network(STEPS, 2, (lstm, readout))), x).astype(np.float64)
    design = np.column_stack([states, np.ones(len(states))])
    weights, *_ = np.linalg.lstsq(design, 10 * np.eye(CLASSES)[y] - 5, rcond=None)
    dense = Dense("dense", weights[:-1].T.astype(np.float32), weights[-1].astype(np.float32))
    return Network(STEPS, 2, (lstm, dense))


def variants(
    network: Network,
    scaled: dict[str, tuple[Windows, NDArray[np.int64]]],
    means: tuple[float, float],
    deviations: tuple[float, float],
) -> tuple[dict[str, Windows], list[Variant]]:
    """Raw windows with these means and standard deviations, and the columns of the first table."""
    mean, std = np.array(means), np.array(deviations)
    raw = {name: (x * std + mean).astype(np.float32) for name, (x, _) in scaled.items()}
    plain = Normalization((0.0,), (1.0,))
    scaling = Affine("scaling", 1 / std, -mean / std)
    front = replace(network, layers=(scaling, *network.layers))
    inside = fold(front)
    own = leading_scaling(front, "float32")
    assert own is not None
    source = SourceModel(
        inside, (), plain, raw["calibration"], LabelledWindows(raw["test"], None), "",
        raw["test"], {"model": ""}, {},
    )  # fmt: skip
    evened = even_features(source)
    return raw, [
        Variant("windows scaled beforehand", network, Normalization(means, deviations)),
        Variant("raw windows in the graph", inside, plain),
        Variant("scaling layer", rescaled(front, own), own),
        Variant("no scaling layer", evened.network, evened.normalization),
    ]


def agreement(
    item: Variant, raw: dict[str, Windows], logits: Windows, precision: str, target: str
) -> str:
    """One cell: the same class, and the mean error of a logit."""
    calibration = item.normalization.apply(raw["calibration"])
    graph = lower(item.network, calibration, precision=precision, target=TARGETS[target])
    found = numpy_logits(graph, item.normalization.apply(raw["test"]))
    same = (found.argmax(axis=1) == logits.argmax(axis=1)).mean()
    return f"{100 * same:.2f} % ({np.abs(found - logits).mean():.4f})"


if __name__ == "__main__":
    main()
