"""The difference between a record and an older one of the same windows: the baseline kept in git."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from convert.evidence.answers import HASH_DIGITS
from convert.evidence.figures import McNemar
from convert.evidence.record import (
    BaselineRecord,
    ChangedWindow,
    Difference,
    Evidence,
    ModelRecord,
    ReferenceRecord,
    ResultRecord,
)
from convert.evidence.statistics import SIGNIFICANT_P, mcnemar

WORSE, BETTER, NOISE, SAME = "worse", "better", "noise", "same"
"""Verdicts on a difference. NOISE: McNemar's test finds no difference at 5 %."""


@dataclass(frozen=True, eq=False)
class _Answers:
    """The classes of one result in the order of the compared windows, and a hash of each logits."""

    classes: NDArray[np.int64]
    hashes: NDArray[np.str_]


def with_baseline(evidence: Evidence, baseline: Evidence, name: str) -> Evidence:
    """The record with the difference to `baseline`, which was read from the file `name`."""
    models = tuple(
        replace(model, baseline=_difference(evidence, model, baseline, name))
        for model in evidence.models
    )
    return replace(evidence, models=models)


def _difference(evidence: Evidence, model: ModelRecord, old: Evidence, name: str) -> BaselineRecord:
    before = _same_model(model, old, alone=len(evidence.models) == 1)
    record = BaselineRecord(
        name=name,
        made=old.identity.made,
        edge_rnn=old.identity.versions.get("edge-rnn", "unknown"),
        model_sha256=None if before is None else before.sha256,
        incomparable=_incomparable(evidence.reference, old.reference, before, model),
    )
    if record.incomparable is not None or before is None:
        return record
    return replace(record, differences=_differences(evidence.reference, model, before, old.reference))


def _same_model(model: ModelRecord, old: Evidence, *, alone: bool) -> ModelRecord | None:
    """The baseline's model of the same name; if both records have one model only, that one."""
    if alone and len(old.models) == 1:
        return old.models[0]
    return next((item for item in old.models if item.name == model.name), None)


def _incomparable(
    now: ReferenceRecord, old: ReferenceRecord, before: ModelRecord | None, model: ModelRecord
) -> str | None:
    if before is None:
        return f"the baseline has no model of the name {model.name}"
    if now.windows_sha256 != old.windows_sha256:
        return "the baseline was measured on other windows"
    if now.labels != old.labels or now.task != old.task:
        return "the baseline has other classes"
    return None


def _differences(
    reference: ReferenceRecord, model: ModelRecord, before: ModelRecord, old: ReferenceRecord
) -> tuple[Difference, ...]:
    """One for each pair of results that some run had before and has now."""
    earlier = {run.name: run.result for run in before.runs if run.result is not None}
    pairs: dict[tuple[int, int], list[str]] = {}
    for run in model.runs:
        if run.result is not None and run.name in earlier:
            pairs.setdefault((earlier[run.name], run.result), []).append(run.name)
    return tuple(
        _compare(
            tuple(names),
            reference,
            _answers(before.results[then], old),
            _answers(model.results[now], reference),
        )
        for (then, now), names in pairs.items()
    )


def _answers(result: ResultRecord, reference: ReferenceRecord) -> _Answers:
    """Only disagreements are in the record; all other classes are the reference's."""
    classes = np.array(reference.classes or [0] * reference.count, np.int64)
    place = {position: n for n, position in enumerate(reference.positions or range(reference.count))}
    for item in result.disagreements:
        classes[place[item.window]] = item.model
    text = result.window_hashes
    hashes = [text[k : k + HASH_DIGITS] for k in range(0, len(text), HASH_DIGITS)]
    return _Answers(classes, np.array(hashes))


def _compare(
    runs: tuple[str, ...], reference: ReferenceRecord, before: _Answers, after: _Answers
) -> Difference:
    right = np.array(reference.classes if reference.truth is None else reference.truth, np.int64)
    if not len(right):  # numbers instead of classes
        right = before.classes
    was, is_right = before.classes == right, after.classes == right
    other = before.classes != after.classes
    test = mcnemar(was, is_right)
    changed_logits = int(((before.hashes != after.hashes) & ~other).sum())

    def listed(chosen: NDArray[np.bool_]) -> tuple[ChangedWindow, ...]:
        return tuple(
            ChangedWindow(
                window=reference.positions[n] if reference.positions else n,
                truth=None if reference.truth is None else reference.truth[n],
                before=int(before.classes[n]),
                after=int(after.classes[n]),
            )
            for n in np.flatnonzero(chosen).tolist()
        )

    return Difference(
        runs=runs,
        broken=listed(was & ~is_right),
        mended=listed(is_right & ~was),
        changed=listed(other & (was == is_right)),
        changed_logits=changed_logits,
        mcnemar=test,
        verdict=_verdict(test, bool(other.any() or changed_logits)),
    )


def _verdict(test: McNemar, differs: bool) -> str:
    if not differs:
        return SAME
    if test.p_value >= SIGNIFICANT_P:
        return NOISE
    return WORSE if test.only_reference > test.only_model else BETTER
