"""A training run on disk: what `train` writes and `convert` reads.

model.keras     the full model
run.json        how it came about (RunRecord)
config.toml     its settings, for `edge-rnn train --config`
history.csv     loss and accuracy while it trained
training.png    the same as a picture
finetuned.npz   in a fine-tuned run: the quantized graph with its weights (runs.graph_record)
predicted.npy   in a fine-tuned run: the logits of that graph's evaluation on the test split
windows.npz     the raw windows that conversion needs: stratified samples of the training split for
                calibration and of the validation split for choices, and the whole test split for the
                proof. The data set itself is not needed again.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import DataError
from edge_runtime.model_file.normalization import Normalization
from edge_runtime.runs.graph_record import GraphRecord
from edge_runtime.runs.labelled_windows import LabelledWindows

MODEL = "model.keras"
RECORD = "run.json"
SETTINGS_FILE = "config.toml"
HISTORY = "history.csv"
CURVES = "training.png"
WINDOWS = "windows.npz"
FINETUNED = "finetuned.npz"
PREDICTED = "predicted.npy"

READ_BY_CONVERT = (MODEL, RECORD, WINDOWS, FINETUNED, PREDICTED)
"""The files without which a run cannot be converted."""


@dataclass(frozen=True)
class RunRecord:
    """The content of run.json."""

    dataset: dict[str, Any]
    """name, digest (SHA-256 of all windows and labels) and the sizes of the splits."""
    steps: int
    features: int
    labels: tuple[str, ...]
    normalization: Normalization
    hyperparameters: dict[str, Any]
    seed: int
    versions: dict[str, str]
    metrics: dict[str, float]
    """Final loss and accuracy on the validation and test splits, accuracy as a fraction."""
    model_sha256: str
    windows_sha256: str
    """SHA-256 of the files model.keras and windows.npz, hexadecimal."""
    finetuned: dict[str, Any] | None = None
    """In a fine-tuned run: from (the run it started from), precision, scheme, settings, metrics, and
    graph_sha256 and predicted_sha256 of finetuned.npz and predicted.npy. model.keras is the model of the
    run it started from."""

    def to_json(self) -> dict[str, Any]:
        """A JSON object; `from_json` reads it back."""
        record = {**asdict(self), "normalization": self.normalization.to_json()}
        if self.finetuned is None:
            del record["finetuned"]
        return record

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> RunRecord:
        """Read what `to_json` wrote. Raises KeyError, TypeError or ValueError on anything else."""
        values = {item.name: record[item.name] for item in fields(cls) if item.name != "finetuned"}
        values["finetuned"] = record.get("finetuned")
        values["labels"] = tuple(record["labels"])
        values["normalization"] = Normalization.from_json(record["normalization"])
        return cls(**values)


def write_record(folder: Path, record: RunRecord) -> None:
    """Write run.json."""
    (folder / RECORD).write_text(json.dumps(record.to_json(), indent=2) + "\n", "utf-8")


def write_windows(
    folder: Path,
    *,
    calibration: LabelledWindows,
    validation: LabelledWindows,
    test: LabelledWindows,
) -> None:
    """Write windows.npz. A split whose windows have groups also gets the array SPLIT_groups."""
    arrays = {}
    for split, windows in (("calibration", calibration), ("validation", validation), ("test", test)):
        arrays[f"{split}_x"], arrays[f"{split}_y"] = windows.x, windows.y
        if windows.groups is not None:
            arrays[f"{split}_groups"] = windows.groups
    np.savez_compressed(folder / WINDOWS, **arrays)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _check_file(path: Path, expected: str) -> None:
    try:
        found = file_sha256(path)
    except OSError as error:
        raise DataError(f"{path}: cannot read the file ({error.strerror}).") from None
    if found != expected:
        raise DataError(
            f"{path}: not the file that {RECORD} describes. Expected SHA-256 {expected[:12]}..., "
            f"found {found[:12]}.... Train again."
        )


@dataclass(frozen=True)
class Run:
    """A run directory that has been opened: its record read, its files checked against the record."""

    path: Path
    record: RunRecord

    @classmethod
    def open(cls, path: str | Path) -> Run:
        """Read `path`/run.json. Raises DataError when the directory is not a run, or was changed."""
        folder = Path(path)
        try:
            record = RunRecord.from_json(json.loads((folder / RECORD).read_text("utf-8")))
        except FileNotFoundError:
            raise DataError(
                f"{path}: not a run directory. Expected {RECORD}, as 'edge-rnn train --out' writes it."
            ) from None
        except (AttributeError, OSError, KeyError, TypeError, ValueError) as error:
            raise DataError(f"{folder / RECORD}: not a run record ({error!r}).") from None
        run = cls(folder, record)
        _check_file(folder / MODEL, record.model_sha256)
        _check_file(folder / WINDOWS, record.windows_sha256)
        if record.finetuned is not None:
            _check_file(folder / FINETUNED, record.finetuned["graph_sha256"])
            _check_file(folder / PREDICTED, record.finetuned["predicted_sha256"])
        return run

    @property
    def model(self) -> Path:
        """The Keras model file."""
        return self.path / MODEL

    def finetuned_graph(self) -> GraphRecord | None:
        """The quantized graph with fine-tuned weights; None in any other run."""
        return None if self.record.finetuned is None else GraphRecord.load(self.path / FINETUNED)

    def predicted_logits(self) -> NDArray[np.float32] | None:
        """Logits of the fine-tuned graph's evaluation on the test split; None in any other run."""
        if self.record.finetuned is None:
            return None
        logits: NDArray[np.float32] = np.load(self.path / PREDICTED, allow_pickle=False)
        return logits

    def calibration_windows(self) -> LabelledWindows:
        """Windows of the training split, kept for calibration."""
        return self._windows("calibration")

    def validation_windows(self) -> LabelledWindows | None:
        """Windows held back from training, for choices; None in a run that keeps none."""
        with np.load(self.path / WINDOWS, allow_pickle=False) as archive:
            kept = "validation_x" in archive
        return self._windows("validation") if kept else None

    def test_windows(self) -> LabelledWindows:
        """The whole test split."""
        return self._windows("test")

    def _windows(self, split: str) -> LabelledWindows:
        with np.load(self.path / WINDOWS, allow_pickle=False) as archive:
            name = f"{split}_groups"
            groups = archive.get(name)
            return LabelledWindows(archive[f"{split}_x"], archive[f"{split}_y"], groups)
