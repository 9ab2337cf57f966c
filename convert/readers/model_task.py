"""What the outputs of a user's own model are: the logits of classes, numbers, or an embedding.

The head and the loss that the model was trained with decide. Where they do not (linear outputs, and a
file that names no loss), the data do: classes `y` mean a classifier, and numbers `y` mean a regression.
Where nothing tells, the user is asked for --task. A forecast that is taken for a classifier would give
the number of its largest output.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge_runtime.errors import DataError, InputError
from edge_runtime.model_file.metadata import CLASSIFICATION, EMBEDDING, REGRESSION, TASK_VERSIONS

SOFTMAX, SIGMOID, LINEAR, LOGIT = "softmax", "sigmoid", "linear", "logit"
"""What a model applies to its logits. LOGIT: nothing, to the single logit of class 1."""

CLASSES, VALUES = "classes", "values"
"""What `y` in the data are: integers [N], or other numbers."""

LOSSES = {
    "sparsecategoricalcrossentropy": CLASSIFICATION,
    "categoricalcrossentropy": CLASSIFICATION,
    "categoricalfocalcrossentropy": CLASSIFICATION,
    "categoricalhinge": CLASSIFICATION,
    "binarycrossentropy": CLASSIFICATION,
    "binaryfocalcrossentropy": CLASSIFICATION,
    "hinge": CLASSIFICATION,
    "squaredhinge": CLASSIFICATION,
    "meansquarederror": REGRESSION,
    "mse": REGRESSION,
    "meanabsoluteerror": REGRESSION,
    "mae": REGRESSION,
    "meanabsolutepercentageerror": REGRESSION,
    "mape": REGRESSION,
    "meansquaredlogarithmicerror": REGRESSION,
    "msle": REGRESSION,
    "huber": REGRESSION,
    "huberloss": REGRESSION,
    "logcosh": REGRESSION,
    "poisson": REGRESSION,
    "cosinesimilarity": EMBEDDING,
}
"""Loss of Keras, in small letters without underscores -> the task of a model trained with it."""

ONE_LABEL_EACH = ("binarycrossentropy", "binaryfocalcrossentropy", "hinge", "squaredhinge")
"""Losses that take every output for a decision of its own."""


@dataclass(frozen=True)
class TaskHints:
    """What is known about a model besides its head."""

    asked: str | None = None
    """--task."""
    y: str | None = None
    """CLASSES or VALUES; None: the data have no y."""
    two_classes: bool = False
    """Whether all of `y` are 0 or 1."""
    labels: int = 0
    """How many names were given."""
    loss: str | None = None
    """The loss in the file, as LOSSES spells it; None: unknown, or none of Keras' own."""


def checked_task(task: str | None) -> str | None:
    """The value of --task. Raises InputError for an unknown one."""
    if task is not None and task not in TASK_VERSIONS:
        raise InputError(f"--task: unknown task {task!r}. Choose {', '.join(TASK_VERSIONS)}.")
    return task


def task_of(function: str, outputs: int, hints: TaskHints) -> str:
    """The task of a model with `outputs` outputs to which it applies `function`, SOFTMAX or another.

    Raises DataError for several labels at a time, and InputError, which asks for --task, where nothing
    tells.
    """
    if hints.asked in (REGRESSION, EMBEDDING):
        return hints.asked
    several = function == SIGMOID or (function == LINEAR and hints.loss in ONE_LABEL_EACH)
    if outputs > 1 and several:
        raise DataError(
            f"the model has {outputs} outputs with sigmoid, which is several labels at a time. Expected "
            "a classifier whose outputs have softmax or no activation. --task regression converts the "
            "outputs as numbers."
        )
    if function != LINEAR or hints.asked == CLASSIFICATION:
        return CLASSIFICATION
    found = LOSSES.get(hints.loss or "") or _by_data(outputs, hints)
    if found is None:
        raise InputError(
            f"--task: is missing. The model's {_counted(outputs)} no softmax, and neither the file nor "
            "the data say what the outputs are. Choose classification, regression or embedding."
        )
    return found


def _by_data(outputs: int, hints: TaskHints) -> str | None:
    if hints.y == VALUES:
        return REGRESSION
    if outputs > 1:
        return CLASSIFICATION if hints.y == CLASSES or hints.labels else None
    # One linear output is a number, or the logit of the second of two classes (PyTorch's
    # BCEWithLogitsLoss).
    if hints.labels:
        return CLASSIFICATION if hints.labels == 2 else REGRESSION
    if hints.y == CLASSES:
        return CLASSIFICATION if hints.two_classes else REGRESSION
    return None


def _counted(outputs: int) -> str:
    return "output has" if outputs == 1 else f"{outputs} outputs have"
