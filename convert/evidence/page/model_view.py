"""One model of a record, in the order and grouping in which its part of the page shows it.

The engines' table shows all runs. Everything after it is shown for one result, the worst that an engine
of the target gave, as results usually differ in few windows. Different classes are listed for all.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property

from convert.evidence.figures import Disagreement, Proportion
from convert.evidence.record import EngineRun, ModelRecord, ReferenceRecord, ResultRecord

MOST_LISTED = 300
"""Windows in one list. The record has all of them."""


@dataclass(frozen=True)
class Discordant:
    """A window with different classes, and the runs that give the model's class."""

    found: Disagreement
    runs: tuple[str, ...]


@dataclass(frozen=True)
class ModelView:
    """What the templates ask about a model."""

    record: ModelRecord
    reference: ReferenceRecord
    index: int

    @property
    def key(self) -> str:
        """Start of all names of the model on the page."""
        return f"m{self.index}"

    @cached_property
    def answered(self) -> tuple[EngineRun, ...]:
        """The runs that gave answers."""
        return tuple(run for run in self.record.runs if run.result is not None)

    def result_of(self, run: EngineRun) -> ResultRecord | None:
        """The figures of a run, or None if it gave no answer."""
        return None if run.result is None else self.record.results[run.result]

    @cached_property
    def shown(self) -> int | None:
        """Position of the result that is shown in detail; None if no engine gave any."""
        required = {run.result for run in self.answered if run.required}
        candidates = required or {run.result for run in self.answered}
        places = [place for place in candidates if place is not None]
        return min(places, key=self._goodness) if places else None

    def _goodness(self, place: int) -> tuple[float, float, int]:
        result = self.record.results[place]
        agreement = result.agreement.share if result.agreement else 0.0
        normalized = result.numbers.normalized if result.numbers else 0.0
        return agreement - normalized, -result.logit_errors.max, place

    @property
    def result(self) -> ResultRecord | None:
        """The figures that are shown in detail."""
        return None if self.shown is None else self.record.results[self.shown]

    @property
    def shown_runs(self) -> tuple[str, ...]:
        """The runs that gave exactly the shown result."""
        return tuple(run_name(run) for run in self.answered if run.result == self.shown)

    @cached_property
    def discordant(self) -> tuple[Discordant, ...]:
        """All windows with different classes in any run, by position."""
        runs: defaultdict[tuple[int, int], list[str]] = defaultdict(list)
        found: dict[tuple[int, int], Disagreement] = {}
        for run in self.answered:
            result = self.result_of(run)
            for item in result.disagreements if result else ():
                runs[item.window, item.model].append(run_name(run))
                found[item.window, item.model] = item
        return tuple(Discordant(found[key], tuple(runs[key])) for key in sorted(found))

    @property
    def listed(self) -> tuple[Discordant, ...]:
        """Those of `discordant` that the page lists: where the reference is surest, by position."""
        surest = sorted(self.discordant, key=lambda item: -item.found.reference_margin)[:MOST_LISTED]
        return tuple(sorted(surest, key=lambda item: item.found.window))

    @cached_property
    def pairs(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """Name of each run, and in how many windows its logits differ from each run's."""
        hashes = [self._hashes(result) for result in self.record.results]
        different = [[_different(one, other) for other in hashes] for one in hashes]
        places = [run.result for run in self.answered if run.result is not None]
        return tuple(
            (run_name(run), tuple(different[place][other] for other in places))
            for run, place in zip(self.answered, places)
        )

    def _hashes(self, result: ResultRecord) -> list[str]:
        """One for each window."""
        text, digits = result.window_hashes, len(result.window_hashes) // self.reference.count
        return [text[start : start + digits] for start in range(0, len(text), digits)]

    @property
    def are_equal(self) -> bool:
        """Whether all runs gave the same bits."""
        return not any(count for _, counts in self.pairs for count in counts)

    @property
    def sections(self) -> tuple[tuple[str, str], ...]:
        """Anchor and title of each section that the record fills, for the list of contents."""
        result, record = self.result, self.record
        filled = {
            "Not proven": True,
            "Engines": True,
            "Pairs": bool(result),
            "Outputs": bool(result and result.numbers),
            "Classes": bool(result and result.per_class),
            "Flips": bool(result and not result.numbers),
            "Groups": bool(result and result.groups),
            "Margins": bool(result and (result.margins or result.calibration)),
            "Drift": bool(result and record.drift),
            "Windows": bool(result and result.worst),
            "Sizes": True,
            "Baseline": bool(record.baseline),
        }
        titles = [title for title, is_filled in filled.items() if is_filled]
        return tuple((f"{self.key}-{title.lower().replace(' ', '-')}", title) for title in titles)

    @property
    def accuracies(self) -> list[tuple[str, Proportion | None, str]]:
        """Rows of the plot of accuracies."""
        rows: list[tuple[str, Proportion | None, str]] = [
            ("reference", self.reference.accuracy, "reference")
        ]
        for run in self.answered:
            result = self.result_of(run)
            rows.append((run.name, result.accuracy if result else None, "model"))
        return rows

    def label(self, position: int | None) -> str:
        """The name of a class."""
        if position is None:
            return "unknown"
        labels = self.reference.labels
        return labels[position] if 0 <= position < len(labels) else str(position)


def run_name(run: EngineRun) -> str:
    """`native avx2 0.3.0`."""
    return f"{run.name} {run.version}".strip()


def _different(one: list[str], other: list[str]) -> int:
    """How many hashes differ. Two results differ in one window at least, though hashes may be equal."""
    return 0 if one is other else max(1, sum(mine != theirs for mine, theirs in zip(one, other)))
