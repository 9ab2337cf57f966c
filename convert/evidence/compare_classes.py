"""The figures of a classifier's answers against the reference's."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.evidence.answers import Compared, Float32, logits_sha256, window_hashes
from convert.evidence.figures import (
    Calibration,
    Disagreement,
    Flip,
    GroupFigures,
    Margins,
    PerClass,
)
from convert.evidence.logit_errors import logit_errors, worst_windows
from convert.evidence.record import ResultRecord
from convert.evidence.statistics import (
    class_scores,
    clopper_pearson,
    mcnemar,
    reliability,
    wilson,
)
from convert.proof.near_ties import near_ties

MARGIN_BINS = 20


def compare_classes(compared: Compared, logits: Float32, output_scale: float | None) -> ResultRecord:
    """All figures of the model's logits `[N, classes]`.

    `output_scale`: of the file's output tensor; None for a float output.
    """
    reference = compared.source.logits
    classes, found = reference.argmax(axis=1), logits.argmax(axis=1)
    same = classes == found
    near, _ = near_ties(reference, logits)
    truth = compared.truth if compared.labelled else None
    disagreements = _disagreements(compared, found, near)
    return ResultRecord(
        logits_sha256=logits_sha256(logits),
        window_hashes=window_hashes(logits),
        logit_errors=logit_errors(reference, logits, output_scale),
        worst=worst_windows(compared, logits, near),
        agreement=clopper_pearson(int(same.sum()), len(same)),
        judged=clopper_pearson(int(same.sum()), int((~near).sum())),
        accuracy=None if truth is None else wilson(int((found == truth).sum()), len(same)),
        mcnemar=None if truth is None else mcnemar(classes == truth, found == truth),
        near_ties=int(near.sum()),
        disagreements=disagreements,
        flips=_flips(disagreements),
        per_class=() if truth is None else _per_class(compared, classes, found),
        groups=_groups(compared, classes, found),
        margins=_margins(reference, logits, ~same),
        calibration=None
        if truth is None
        else Calibration(reliability(reference, truth), reliability(logits, truth)),
    )


def margin(logits: Float32) -> NDArray[np.float64]:
    """How far the best logit is ahead of the second, `[N]`."""
    ordered = np.sort(logits.astype(np.float64), axis=1)
    lead: NDArray[np.float64] = ordered[:, -1] - ordered[:, -2]
    return lead


def _disagreements(
    compared: Compared, found: NDArray[np.int64], near: NDArray[np.bool_]
) -> tuple[Disagreement, ...]:
    """By position in the data."""
    reference = compared.source.logits
    classes, lead = reference.argmax(axis=1), margin(reference)
    listed = [
        Disagreement(
            window=int(compared.positions[n]),
            truth=int(compared.truth[n]) if compared.labelled else None,
            reference=int(classes[n]),
            model=int(found[n]),
            reference_margin=round(float(lead[n]), 6),
            near_tie=bool(near[n]),
            group=None if compared.groups is None else str(compared.groups[n]),
        )
        for n in np.flatnonzero(classes != found)
    ]
    return tuple(sorted(listed, key=lambda item: item.window))


def _flips(disagreements: tuple[Disagreement, ...]) -> tuple[Flip, ...]:
    """The most frequent first."""
    counts = Counter((item.reference, item.model) for item in disagreements)
    near = Counter((item.reference, item.model) for item in disagreements if item.near_tie)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Flip(*pair, count, near[pair]) for pair, count in ordered)


def _per_class(
    compared: Compared, classes: NDArray[np.int64], found: NDArray[np.int64]
) -> tuple[PerClass, ...]:
    labels, truth = compared.source.labels, compared.truth
    counts = np.bincount(truth, minlength=len(labels))
    both = (class_scores(truth, predicted, len(labels)) for predicted in (classes, found))
    return tuple(
        PerClass(label, int(count), reference, model)
        for label, count, reference, model in zip(labels, counts, *both)
    )


def _groups(
    compared: Compared, classes: NDArray[np.int64], found: NDArray[np.int64]
) -> tuple[GroupFigures, ...]:
    """The worst agreement first; of equal ones that with more windows, which says more."""
    if compared.groups is None:
        return ()
    listed = [
        _group(name, compared, classes, found, compared.groups == name)
        for name in np.unique(compared.groups).tolist()
    ]
    return tuple(sorted(listed, key=lambda item: (item.agreement.share, -item.windows)))


def _group(
    name: str,
    compared: Compared,
    classes: NDArray[np.int64],
    found: NDArray[np.int64],
    members: NDArray[Any],
) -> GroupFigures:
    count = int(members.sum())
    same = int((classes == found)[members].sum())
    if not compared.labelled:
        return GroupFigures(name, count, clopper_pearson(same, count), None, None, None)
    right, model_right = classes == compared.truth, found == compared.truth
    return GroupFigures(
        name,
        count,
        clopper_pearson(same, count),
        wilson(int(right[members].sum()), count),
        wilson(int(model_right[members].sum()), count),
        mcnemar(right[members], model_right[members]),
    )


def _margins(reference: Float32, logits: Float32, differs: NDArray[np.bool_]) -> Margins:
    full, own = margin(reference), margin(logits)
    top = float(max(full.max(), own.max())) or 1.0
    edges = np.linspace(0, top, MARGIN_BINS + 1)
    counted = [np.histogram(values, edges)[0] for values in (full, own, full[differs])]
    bars = [tuple(map(int, counts)) for counts in counted]
    return Margins(tuple(round(edge, 6) for edge in edges.tolist()), *bars)
