"""What is converted: a network, windows for calibration and proof, and the full model's logits.

A Source is read once and converted to any number of precisions. This module opens run directories;
other sources have modules of their own, which build the same record.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convert.readers.keras.read_model import network_from_keras
from convert.readers.tensorflow.full_models import full_logits, load_full_model, tensorflow_version
from convert.source_model.network import Network
from edge_runtime.errors import InputError
from edge_runtime.model_file.normalization import Normalization
from edge_runtime.model_file.parity_report import FEW_WINDOWS
from edge_runtime.runs.graph_record import GraphRecord
from edge_runtime.runs.labelled_windows import LabelledWindows
from edge_runtime.runs.run_directory import Run

CALIBRATION_SAMPLES = 500
PARITY_WINDOWS = 10_000


@dataclass(frozen=True, eq=False)
class Finetuned:
    """What `edge-rnn train --finetune` adds to a run."""

    graph: GraphRecord
    """The quantized graph with its weights."""
    logits: NDArray[np.float32]
    """Those of its evaluation, for the source's held-out windows: what the file is proven against."""


@dataclass(frozen=True, eq=False)
class Selection:
    """Windows that may choose between precisions; never held-out ones."""

    windows: LabelledWindows
    """Raw."""
    split: str
    """Where they come from."""


@dataclass(frozen=True, eq=False)
class Source:
    """A full model, read."""

    network: Network
    labels: tuple[str, ...]
    normalization: Normalization
    """From raw windows to what the network gets."""
    calibration: NDArray[np.float32]
    """Normalized calibration windows `[N, steps, features]`; never of the held-out ones."""
    held_out: LabelledWindows
    """Raw held-out windows."""
    split: str
    """Where the held-out windows come from, for the report."""
    logits: NDArray[np.float32]
    """The full model's, for the held-out windows."""
    origin: dict[str, str]
    """Where the weights come from; becomes the metadata's `source`."""
    tools: dict[str, str]
    """Versions of the programs that read it; becomes part of the metadata's `tools`."""
    selection: Selection | None = None
    """What may choose between precisions (auto_precision); None: a part of the held-out windows, which
    the proof then leaves out."""
    labelled: bool = True
    """Whether `held_out.y` are true classes; otherwise they are those that the full model gives."""
    finetuned: Finetuned | None = None
    """The fine-tuned graph for one precision; all others are made from `network`."""
    original: NDArray[np.float32] | None = None
    """The logits before fine-tuning, where `logits` are those of the fine-tuned graph."""

    def for_precision(self, precision: str) -> Source:
        """The source with the logits that a file in `precision` must give."""
        if self.finetuned is None or self.finetuned.graph.precision != precision:
            return self
        return replace(self, logits=self.finetuned.logits, original=self.logits)


def open_run(
    run_directory: str | Path,
    *,
    calibration_samples: int = CALIBRATION_SAMPLES,
    calibration_seed: int = 0,
    parity_windows: int = PARITY_WINDOWS,
) -> Source:
    """Read a run directory and compute the full model's logits.

    `calibration_samples`: windows of the training split, stratified, chosen by
    `calibration_seed`. `parity_windows`: at most this many windows of the test split, stratified;
    at least 1,000, unless the split has fewer. Raises DataError for a directory that cannot be
    used, InputError for a value out of range, and MissingExtraError without TensorFlow.
    """
    check_samples(calibration_samples, calibration_seed, parity_windows)
    run = Run.open(run_directory)
    record = run.record
    model = load_full_model(run.model)
    network = network_from_keras(model)
    normalize = record.normalization.apply
    samples = run.calibration_windows().stratified_sample(calibration_samples, calibration_seed)
    held_out = run.test_windows().stratified_sample(parity_windows, seed=0)
    return Source(
        network=network,
        labels=record.labels,
        normalization=record.normalization,
        calibration=normalize(samples.x),
        held_out=held_out,
        split="test split",
        selection=_selection(run),
        logits=full_logits(model, normalize(held_out.x)),
        origin={
            "model_sha256": record.model_sha256,
            "dataset": str(record.dataset["name"]),
            "dataset_digest": str(record.dataset["digest"]),
        },
        tools={"tensorflow": tensorflow_version()},
        finetuned=_finetuned(run, parity_windows),
    )


def _selection(run: Run) -> Selection:
    validation = run.validation_windows()
    if validation is not None:
        return Selection(validation, "validation split")
    return Selection(run.calibration_windows(), "training split")


def _finetuned(run: Run, parity_windows: int) -> Finetuned | None:
    graph, logits = run.finetuned_graph(), run.predicted_logits()
    if graph is None or logits is None:
        return None
    labels = run.test_windows().y
    positions = LabelledWindows(np.arange(len(labels)), labels)
    return Finetuned(graph, logits[positions.stratified_sample(parity_windows, seed=0).x])


def check_samples(calibration_samples: int, calibration_seed: int, parity_windows: int) -> None:
    """Raises InputError that names the option whose value is too small."""
    for option, value, least in (
        ("calibration-samples", calibration_samples, 1),
        ("calibration-seed", calibration_seed, 0),
        ("parity-windows", parity_windows, FEW_WINDOWS),
    ):
        if value < least:
            raise InputError(f"--{option} is {value}: expected at least {least}")
