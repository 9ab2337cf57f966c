"""The figures of a classifier on labelled windows: accuracy, classes, groups, calibration.

They are computed from logits alone, so that they hold for a Keras model, for the pooled folds of a
cross-validation and for anything else that gives logits. Undefined figures are None.

scikit-learn and SciPy compute what they have. Both come with the extra `workstation`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.host.optional_packages import needs_extra

INTERVAL_LEVEL = 0.95
"""The level of every interval, two-sided."""

CALIBRATION_BINS = 15
"""Bins of equal width over the probability of the predicted class, as in Guo et al. (2017)."""

_needed = partial(needs_extra, "workstation", what="edge-rnn evaluate")


@dataclass(frozen=True)
class Share:
    """The windows whose class is predicted, of all windows, with an interval."""

    correct: int
    windows: int
    low: float
    """The ends of Wilson's score interval at 95 %, 0 to 1."""
    high: float

    @property
    def value(self) -> float:
        """The accuracy, 0 to 1."""
        return self.correct / self.windows

    def to_json(self) -> dict[str, Any]:
        """The same as a JSON object, with its `accuracy`."""
        return {
            "accuracy": self.value,
            "accuracy_low": self.low,
            "accuracy_high": self.high,
            "correct": self.correct,
            "windows": self.windows,
        }


@dataclass(frozen=True)
class ClassMetrics:
    """One class against all others. Every figure is 0 to 1."""

    label: str
    precision: float | None
    """Right among the windows that are predicted as this class; None if there are none."""
    recall: float | None
    """Right among the windows of this class; None if there are none."""
    f1: float | None
    """The harmonic mean of both; None for a class that neither occurs nor is predicted."""
    windows: int
    """The windows of this class, which scikit-learn calls its support."""


@dataclass(frozen=True)
class GroupMetrics:
    """The windows of one group: a person, a device or a site."""

    group: str
    share: Share


@dataclass(frozen=True)
class GroupSpread:
    """How the accuracy differs from group to group. Each group counts the same, however large it is."""

    groups: int
    mean: float
    standard_deviation: float | None
    """Of the groups' accuracies, with N - 1; None for a single group."""
    worst: float
    best: float


@dataclass(frozen=True)
class CalibrationBin:
    """The windows whose predicted class has a probability above `low` and at most `high`."""

    low: float
    high: float
    windows: int
    probability: float | None
    """The mean probability of the predicted class; None in an empty bin."""
    accuracy: float | None


@dataclass(frozen=True)
class CalibrationMetrics:
    """Whether a probability of 90 % is right in 90 % of the cases."""

    expected_error: float
    """The expected calibration error: the mean of |accuracy - probability| over the bins, weighted by
    windows."""
    probability: float
    """The mean probability of the predicted class. Above the accuracy, the model is overconfident."""
    bins: tuple[CalibrationBin, ...]


@dataclass(frozen=True, eq=False)
class Metrics:
    """All figures of one model on one set of windows."""

    accuracy: Share
    balanced_accuracy: float
    """The mean recall of the classes that occur."""
    macro_f1: float
    """The mean F1 of the classes that occur or are predicted."""
    classes: tuple[ClassMetrics, ...]
    """In the order of the labels."""
    groups: tuple[GroupMetrics, ...]
    """The worst accuracy first; empty where the windows have no groups."""
    spread: GroupSpread | None
    calibration: CalibrationMetrics
    confusion: NDArray[np.int64]
    """`[classes, classes]`: rows are the actual classes, columns the predicted ones."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes."""
        return tuple(item.label for item in self.classes)

    def to_json(self) -> dict[str, Any]:
        """A JSON object (docs/guides/evaluation.md); undefined figures are null."""
        return {
            **self.accuracy.to_json(),
            "balanced_accuracy": self.balanced_accuracy,
            "macro_f1": self.macro_f1,
            "classes": [vars(item) for item in self.classes],
            "groups": [{"group": item.group, **item.share.to_json()} for item in self.groups],
            "spread": None if self.spread is None else vars(self.spread),
            "calibration": {
                **vars(self.calibration),
                "bins": [vars(item) for item in self.calibration.bins],
            },
            "confusion": self.confusion.tolist(),
        }


def measure_logits(
    logits: NDArray[np.float32],
    y: NDArray[np.int64],
    labels: tuple[str, ...],
    groups: NDArray[np.str_] | None = None,
) -> Metrics:
    """All figures of the predictions in `logits`.

    - `logits`: `[N, classes]`, N at least 1. The largest one is the predicted class.
    - `y`: `[N]`, the actual classes, positions in `labels`.
    - `labels`: the names of the classes.
    - `groups`: `[N]`, the group of each window, or None.

    Raises MissingExtraError without scikit-learn or SciPy.
    """
    predicted = logits.argmax(axis=1)
    classes = _classes(y, predicted, labels)
    measured = () if groups is None else _groups(predicted == y, groups)
    return Metrics(
        accuracy=share_of(predicted == y),
        balanced_accuracy=_mean(item.recall for item in classes),
        macro_f1=_mean(item.f1 for item in classes),
        classes=classes,
        groups=measured,
        spread=_spread(measured),
        calibration=_calibration(logits, predicted == y),
        confusion=_confusion(y, predicted, len(labels)),
    )


def share_of(right: NDArray[np.bool_]) -> Share:
    """The share of True in `right` `[N]`, N at least 1, with Wilson's score interval at 95 %.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of the
    American Statistical Association 22 (1927), 209-212. Unlike p +- 2 sigma it stays within 0 to 1, and
    holds on few windows and near 100 %.
    """
    with _needed("scipy"):
        from scipy.stats import binomtest
    correct, windows = int(right.sum()), len(right)
    found = binomtest(correct, windows).proportion_ci(INTERVAL_LEVEL, method="wilson")
    return Share(correct, windows, float(found.low), float(found.high))


def _classes(
    y: NDArray[np.int64], predicted: NDArray[np.int64], labels: tuple[str, ...]
) -> tuple[ClassMetrics, ...]:
    with _needed("scikit-learn"):
        from sklearn.metrics import precision_recall_fscore_support
    precision, recall, f1, windows = precision_recall_fscore_support(
        y, predicted, labels=np.arange(len(labels)), zero_division=np.nan
    )
    return tuple(
        ClassMetrics(label, _known(precision[k]), _known(recall[k]), _known(f1[k]), int(windows[k]))
        for k, label in enumerate(labels)
    )


def _confusion(y: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    with _needed("scikit-learn"):
        from sklearn.metrics import confusion_matrix
    matrix: NDArray[np.int64] = confusion_matrix(y, predicted, labels=np.arange(classes))
    return matrix


def _groups(right: NDArray[np.bool_], groups: NDArray[np.str_]) -> tuple[GroupMetrics, ...]:
    """The worst first; of equal ones the larger, about which more is known."""
    found = [GroupMetrics(str(name), share_of(right[groups == name])) for name in np.unique(groups)]
    return tuple(sorted(found, key=lambda item: (item.share.value, -item.share.windows, item.group)))


def _spread(groups: tuple[GroupMetrics, ...]) -> GroupSpread | None:
    if not groups:
        return None
    values = [item.share.value for item in groups]
    return GroupSpread(
        groups=len(values),
        mean=float(np.mean(values)),
        standard_deviation=standard_deviation(values),
        worst=values[0],
        best=values[-1],
    )


def standard_deviation(values: list[float]) -> float | None:
    """The standard deviation of a sample, with N - 1; None for fewer than two values."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def _calibration(logits: NDArray[np.float32], right: NDArray[np.bool_]) -> CalibrationMetrics:
    """C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, "On calibration of modern neural networks",
    ICML 2017, equation 5. Bin k of K holds the probabilities above k / K and at most (k + 1) / K."""
    with _needed("scipy"):
        from scipy.special import softmax
    probability = softmax(logits.astype(np.float64), axis=1).max(axis=1)
    edges = np.linspace(0, 1, CALIBRATION_BINS + 1)
    place = np.clip(np.searchsorted(edges, probability, side="left") - 1, 0, CALIBRATION_BINS - 1)
    bins = tuple(
        _bin(low, high, probability[place == k], right[place == k])
        for k, (low, high) in enumerate(zip(edges.tolist(), edges.tolist()[1:]))
    )
    gaps = (item.windows * abs((item.accuracy or 0.0) - (item.probability or 0.0)) for item in bins)
    return CalibrationMetrics(sum(gaps) / len(right), float(probability.mean()), bins)


def _bin(
    low: float, high: float, probability: NDArray[np.float64], right: NDArray[np.bool_]
) -> CalibrationBin:
    if not len(right):
        return CalibrationBin(low, high, 0, None, None)
    return CalibrationBin(low, high, len(right), float(probability.mean()), float(right.mean()))


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _mean(values: Iterable[float | None]) -> float:
    """The mean of those that are known. With one window at least one is."""
    return float(np.mean([value for value in values if value is not None]))
