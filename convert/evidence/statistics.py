"""The statistics of a comparison. Each function names the source of its rule.

The intervals and tests are SciPy's, precision, recall and F1 are scikit-learn's. Both come with the
extra `workstation`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from convert.evidence.figures import ClassScores, McNemar, Proportion, Reliability, ReliabilityBin
from edge_runtime.host.optional_packages import needs_extra
from edge_runtime.model_file.binomial import lower_limit, upper_limit

CONFIDENCE_LEVEL = 0.95
SIGNIFICANT_P = 0.05
"""A p-value below it is called a difference, any other one noise."""

RELIABILITY_BINS = 10

Indices = NDArray[np.int64]


def wilson(count: int, total: int) -> Proportion:
    """`count` of `total` with Wilson's score interval at 95 %.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of the
    American Statistical Association 22 (1927), 209-212. It is for accuracies: near 100 % it stays within
    0 to 1 and holds on few windows, unlike p +- 2 sigma.
    """
    with needs_extra("workstation", "scipy", "edge-rnn parity"):
        from scipy.stats import binomtest
    found = binomtest(count, total).proportion_ci(CONFIDENCE_LEVEL, method="wilson")
    return Proportion(count, total, float(found.low), float(found.high))


def clopper_pearson(count: int, total: int) -> Proportion:
    """`count` of `total` with the exact one-sided limits at 95 %, each by itself.

    They are the limits that decide a verdict (edge_runtime.model_file.binomial, with the source).
    """
    return Proportion(count, total, lower_limit(count, total), upper_limit(count, total))


def mcnemar(reference_right: NDArray[np.bool_], model_right: NDArray[np.bool_]) -> McNemar:
    """McNemar's test of two models on the same windows, in its exact form.

    Only the windows count on which exactly one of them is right: if both are equally good, each such
    window is a fair coin. Two-sided binomial test. Q. McNemar, "Note on the sampling error of the
    difference between correlated proportions or percentages", Psychometrika 12 (1947), 153-157. T. G.
    Dietterich, "Approximate statistical tests for comparing supervised classification learning
    algorithms", Neural Computation 10 (1998), 1895-1923, recommends it for two models and one test set.
    """
    with needs_extra("workstation", "scipy", "edge-rnn parity"):
        from scipy.stats import binomtest
    lost = int((reference_right & ~model_right).sum())
    won = int((model_right & ~reference_right).sum())
    p_value = float(binomtest(lost, lost + won).pvalue) if lost + won else 1.0
    return McNemar(lost, won, p_value)


def class_scores(truth: Indices, predicted: Indices, classes: int) -> list[ClassScores]:
    """Precision, recall and F1 of each class, by scikit-learn; None where one is undefined.

    Undefined are the precision of a class that is never predicted, the recall of one that never occurs,
    and F1 where neither happens.
    """
    with needs_extra("workstation", "scikit-learn", "edge-rnn parity"):
        from sklearn.metrics import precision_recall_fscore_support
    columns = precision_recall_fscore_support(
        truth, predicted, labels=list(range(classes)), zero_division=np.nan
    )
    return [ClassScores(*map(_known, scores)) for scores in zip(*columns[:3])]


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def probabilities(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Softmax over the last axis, in float64."""
    exact = logits.astype(np.float64)
    powers = np.exp(exact - exact.max(axis=-1, keepdims=True))
    result: NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
    return result


def reliability(logits: NDArray[np.float32], truth: Indices) -> Reliability:
    """The reliability diagram and the expected calibration error of logits `[N, classes]`.

    Ten bins of equal width over the probability of the best class; the error is the mean of
    |accuracy - confidence| over the bins, weighted by windows. M. P. Naeini, G. F. Cooper and M.
    Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015; C. Guo et
    al., "On calibration of modern neural networks", ICML 2017.
    """
    confidence = probabilities(logits).max(axis=1)
    right = logits.argmax(axis=1) == truth
    edges = np.linspace(0, 1, RELIABILITY_BINS + 1)
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, RELIABILITY_BINS - 1)
    bins = tuple(
        _bin(low, high, confidence[place == k], right[place == k])
        for k, (low, high) in enumerate(zip(edges.tolist(), edges.tolist()[1:]))
    )
    gaps = [abs((b.accuracy or 0) - b.confidence) * b.windows for b in bins if b.confidence is not None]
    return Reliability(float(sum(gaps) / len(truth)), bins)


def _bin(
    low: float, high: float, confidence: NDArray[np.float64], right: NDArray[np.bool_]
) -> ReliabilityBin:
    if not len(confidence):
        return ReliabilityBin(round(low, 6), round(high, 6), 0, None, None)
    means: Sequence[float] = (float(confidence.mean()), float(right.mean()))
    return ReliabilityBin(round(low, 6), round(high, 6), len(confidence), *means)
