"""What is converted: a network, windows for calibration and proof, and the full model's logits.

A SourceModel is read once (convert.readers) and converted to any number of precisions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from convert.source_model.network import Network
from edge_runtime.model_file.metadata import CLASSIFICATION
from edge_runtime.model_file.normalization import Normalization
from edge_runtime.runs.graph_record import GraphRecord
from edge_runtime.runs.labelled_windows import LabelledWindows


@dataclass(frozen=True, eq=False)
class Finetuned:
    """What `edge-rnn train --finetune` adds to a run."""

    graph: GraphRecord
    """The quantized graph with its weights."""
    logits: NDArray[np.float32]
    """The logits of the fine-tuned graph for the held-out windows. The file is proven against them."""


@dataclass(frozen=True, eq=False)
class Selection:
    """Windows that may choose between precisions. None of them is held out."""

    windows: LabelledWindows
    """The raw windows."""
    split: str
    """Where the windows come from, for the report."""


@dataclass(frozen=True, eq=False)
class SourceModel:
    """A full model that has been read."""

    network: Network
    labels: tuple[str, ...]
    normalization: Normalization
    """Turns raw windows into the network's input."""
    calibration: NDArray[np.float32]
    """Normalized calibration windows `[N, steps, features]`. None of them is held out."""
    held_out: LabelledWindows
    """Raw held-out windows."""
    split: str
    """Where the held-out windows come from, for the report."""
    logits: NDArray[np.float32]
    """The full model's logits `[N, classes]` for the held-out windows."""
    origin: dict[str, str]
    """Where the weights come from. It becomes the metadata's `source`."""
    tools: dict[str, str]
    """Versions of the programs that read the model. They become part of the metadata's `tools`."""
    selection: Selection | None = None
    """The windows that may choose between precisions (auto_precision). None: a part of the held-out
    windows, which the proof then leaves out."""
    notes: tuple[str, ...] = ()
    """Sentences about the windows and the model, which every file's notes begin with."""
    labelled: bool = True
    """Whether `held_out.y` are true classes. Otherwise they are the full model's predictions."""
    task: str = CLASSIFICATION
    """classification, regression or embedding. The `logits` of the last two are the model's outputs."""
    unit_length: bool = False
    """Whether the outputs of `network` have to be scaled to length 1, to be those of the full model."""
    finetuned: Finetuned | None = None
    """The fine-tuned graph for one precision. All other precisions are made from `network`."""
    original: NDArray[np.float32] | None = None
    """The logits before fine-tuning, where `logits` are those of the fine-tuned graph."""

    def for_precision(self, precision: str) -> SourceModel:
        """The same model, with the logits that a file in `precision` must give."""
        if self.finetuned is None or self.finetuned.graph.precision != precision:
            return self
        return replace(self, logits=self.finetuned.logits, original=self.logits)
