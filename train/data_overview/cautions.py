"""What whoever trains on a data set should know about it, as sentences."""

from __future__ import annotations

from collections.abc import Iterator

from train.data_overview.facts import ClassFacts, DataFacts, RecordingFacts

FEW_RECORDINGS = 3
"""With fewer recordings of a class, a split by recording leaves a part of the split without it."""

MUCH_LARGER = 5.0
"""A class with this many times the rows of another one is much larger."""

OTHER_RATE = 1.05
"""Rates are unlike if the fastest recording's is this many times the slowest one's."""

MOST_NAMED = 3
"""Names that a sentence lists."""


def cautions(facts: DataFacts) -> tuple[str, ...]:
    """The sentences, those on recordings first."""
    return (*_recordings(facts), *_features(facts), *_classes(facts), *_groups(facts), *_splits(facts))


def first_names(names: list[str]) -> str:
    """The first names, and how many more there are."""
    shown = ", ".join(names[:MOST_NAMED])
    return shown if len(names) <= MOST_NAMED else f"{shown} and {len(names) - MOST_NAMED} more"


def _recordings(facts: DataFacts) -> Iterator[str]:
    found = facts.recordings
    if found is None:
        return
    remedy = "Pass --fill." if facts.fill is None else f"--fill {facts.fill} takes care of them."
    if found.missing.count:
        yield (
            f"Missing values in {_count(found.missing.count, 'row')}, the first at "
            f"{found.missing.first}. {remedy}"
        )
    if found.gaps.count:
        yield (
            f"{_count(found.gaps.count, 'gap')} in time, the longest of "
            f"{found.gaps.longest_seconds:.4g} s, the first before {found.gaps.first}. {remedy}"
        )
    if found.not_ascending.count:
        yield (
            "No time, or none later than in the row before, in "
            f"{_count(found.not_ascending.count, 'row')}, the first at {found.not_ascending.first}. "
            "Sort the rows, or pass --fill split."
        )
    if found.unlabelled.count:
        yield (
            f"No class in {_count(found.unlabelled.count, 'row')} of {found.rows:,}, the first at "
            f"{found.unlabelled.first}."
        )
    yield from _lengths_and_rates(found, split=facts.windows is not None)


def _lengths_and_rates(found: RecordingFacts, *, split: bool) -> Iterator[str]:
    if found.too_short and not split:  # otherwise the split has a note that says so
        yield (
            f"{_count(found.too_short)} of {found.count:,} with fewer rows than a window, which give "
            "none."
        )
    rate = found.rate
    if rate is not None and rate.fastest_hz > OTHER_RATE * rate.slowest_hz:
        yield (
            f"The rate differs between recordings, from {rate.slowest_hz:.4g} to {rate.fastest_hz:.4g} "
            "rows per second. A window then lasts longer in one than in another. Bring them to one rate."
        )


def _features(facts: DataFacts) -> Iterator[str]:
    if facts.image:
        return  # the margin of a picture is constant, as it should be
    for feature in facts.features:
        if feature.minimum is None:
            yield f"Feature {feature.name} has no value at all. Leave it out with --feature-columns."
        elif feature.constant:
            yield (
                f"Feature {feature.name} is {feature.minimum:.4g} in every row, and tells nothing about "
                "the class."
            )
        elif feature.recordings_without:
            yield f"Feature {feature.name} has no value in {_count(feature.recordings_without)}."
        elif facts.recordings and feature.recordings_constant:
            yield f"Feature {feature.name} does not change in {_count(feature.recordings_constant)}."


def _count(number: int, unit: str = "recording") -> str:
    return f"{number:,} {unit if number == 1 else unit + 's'}"


def _classes(facts: DataFacts) -> Iterator[str]:
    if facts.recordings is not None:
        for one in facts.classes:
            if one.recordings < FEW_RECORDINGS <= facts.recordings.count:
                yield (
                    f"Class {one.label} occurs in {_count(one.recordings)} only. A split by recording "
                    f"needs {FEW_RECORDINGS}: one each to train, to validate and to test."
                )
    sizes = {one.label: _size(one, facts) for one in facts.classes}
    if len(sizes) < 2:
        return
    largest, smallest = max(sizes, key=sizes.__getitem__), min(sizes, key=sizes.__getitem__)
    unit = "windows" if facts.recordings is None else "rows"
    if not sizes[smallest]:
        yield f"Class {smallest} has no {unit}."
    elif sizes[largest] >= MUCH_LARGER * sizes[smallest]:
        yield (
            f"Class {largest} has {sizes[largest] / sizes[smallest]:.0f} times the {unit} of class "
            f"{smallest}. Look at the accuracy of each class, or pass --class-weights balanced."
        )


def _size(one: ClassFacts, facts: DataFacts) -> int:
    return sum(one.windows.values()) if facts.recordings is None else one.rows


def _groups(facts: DataFacts) -> Iterator[str]:
    single: dict[str, list[str]] = {}
    for group in facts.groups:
        inside = [one.label for one, count in zip(facts.classes, group.rows_of_classes) if count]
        if len(inside) == 1:
            single.setdefault(inside[0], []).append(group.name)
    for label, names in single.items():
        which = f"group {names[0]}" if len(names) == 1 else f"groups {first_names(names)}"
        yield (
            f"Only class {label} occurs in {which}. A model can learn the group in place of the class."
        )


def _splits(facts: DataFacts) -> Iterator[str]:
    if facts.windows is None:
        return
    for part in facts.windows.splits:
        if part.name == "test" and facts.recordings is not None:
            continue  # the split has a note that says so
        empty = [one.label for one in facts.classes if not one.windows.get(part.name)]
        if empty and len(empty) < len(facts.classes):
            kind = "class" if len(empty) == 1 else "classes"
            yield f"The {part.name} split has no window of {kind} {first_names(empty)}."
