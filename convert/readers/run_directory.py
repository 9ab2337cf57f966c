"""A run directory of `edge-rnn train` -> SourceModel."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from convert.readers.keras.read_model import network_from_keras
from convert.readers.read_options import ReadOptions
from convert.readers.tensorflow.full_models import full_logits, load_full_model, tensorflow_version
from convert.source_model.source_model import Finetuned, Selection, SourceModel
from edge_runtime.runs.labelled_windows import LabelledWindows
from edge_runtime.runs.run_directory import Run


def open_run(run_directory: str | Path, options: ReadOptions | None = None) -> SourceModel:
    """Read a run directory and compute the full model's logits.

    The calibration windows are a stratified sample of the training split, the held-out windows one of
    the test split: `options.parity_windows`, or all of a smaller split. Raises DataError for a directory
    that cannot be used, and MissingExtraError without TensorFlow.
    """
    chosen = options or ReadOptions()
    run = Run.open(run_directory)
    record = run.record
    model = load_full_model(run.model)
    network = network_from_keras(model)
    normalize = record.normalization.apply
    windows = run.calibration_windows()
    samples = windows.stratified_sample(chosen.calibration_samples, chosen.calibration_seed)
    held_out = run.test_windows().stratified_sample(chosen.parity_windows, seed=0)
    return SourceModel(
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
        finetuned=_finetuned(run, chosen.parity_windows),
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
