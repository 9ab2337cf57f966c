"""What is read: the kind of model, its windows, and how many of them are used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from convert.readers.model_task import TaskHints, checked_task
from convert.readers.user_data import DataSource, UserData, read_user_data
from edge_runtime.errors import InputError
from edge_runtime.runs.npz_windows import checked_labels
from edge_runtime.runs.run_directory import READ_BY_CONVERT

CALIBRATION_SAMPLES = 500
PARITY_WINDOWS = 10_000
LEAST_PARITY_WINDOWS = 1000
"""A smaller sample of a test split would prove less than the split can."""

MISSING_DATA = (
    "--data is missing. Name an .npz file with windows x [N, steps, features] as the model takes them, "
    "and their classes y [N]."
)


@dataclass(frozen=True, eq=False)
class ReadOptions:
    """How a source model is read.

    Raises InputError for a value out of range, and DataError for labels that cannot stand in a file.
    """

    kind: str | None = None
    """The model's format, one of open_source.READERS. None: a run directory, or by the file's name."""
    data: DataSource | None = None
    """The windows for a user's own model (readers.user_data); a run directory has its own."""
    labels: tuple[str, ...] = ()
    """The names of a user's own classes. Empty: those in `data`, or "0", "1" and so on."""
    onnx_output: str | None = None
    """ONNX only: the name of the output with the logits, where the model has several outputs."""
    torch_last: str | None = None
    """PyTorch only: one of state_dict.LAST, for a bidirectional last module. None: "output"."""
    forget_bias: float | None = None
    """TensorFlow 1 only: the forget bias that BasicLSTMCell adds at run time. None: 1, its default."""
    task: str | None = None
    """classification, regression or embedding. None: as the head, the loss and the data say."""
    calibration_samples: int = CALIBRATION_SAMPLES
    """The number of calibration windows, a stratified sample of the training windows."""
    calibration_seed: int = 0
    """Chooses the calibration windows."""
    parity_windows: int = PARITY_WINDOWS
    """The largest number of held-out windows that the proof compares."""

    def __post_init__(self) -> None:
        for option, value, least in (
            ("calibration-samples", self.calibration_samples, 1),
            ("calibration-seed", self.calibration_seed, 0),
            ("parity-windows", self.parity_windows, LEAST_PARITY_WINDOWS),
        ):
            if value < least:
                raise InputError(f"--{option}: expected at least {least}, found {value}.")
        checked_labels(list(self.labels), "--labels")
        checked_task(self.task)

    def hints(self, windows: UserData, loss: str | None = None) -> TaskHints:
        """What tells the model's task besides its head; `loss`: as model_task.LOSSES spells it."""
        labels = len(self.labels or windows.labels)
        return TaskHints(self.task, windows.y_kind, windows.two_classes, labels, loss)

    def windows(self) -> UserData:
        """`data`, read and checked. Raises InputError without data, and what `read_user_data` raises."""
        if self.data is None:
            raise InputError(MISSING_DATA)
        return read_user_data(self.data)


def check_unread(out: str | Path, option: str, *inputs: object) -> None:
    """Raises InputError for an `out` that is one of `inputs`, or a file of a run directory among them.

    `option`: the one that names `out`. Only the paths among `inputs` count.
    """
    for path in inputs:
        if isinstance(path, (str, Path)):
            read = (Path(path), *(Path(path, name) for name in READ_BY_CONVERT))
            if Path(out).resolve() in [file.resolve() for file in read]:
                raise InputError(f"{out}: is read by this conversion. Choose another {option}.")
