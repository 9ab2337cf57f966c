"""What a sweep has found, as lines of the terminal. The test split is in none of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from train.sweep.front import pareto_front
from train.sweep.spec import SweepSpec
from train.sweep.study import PROBLEM, TRIAL_SETTINGS, counts
from train.sweep.train_command import commands


@dataclass(frozen=True)
class Point:
    """A complete trial."""

    trial: int
    values: dict[str, Any]
    """Of the keys of [search]."""
    accuracy: float
    """Of the converted file on the validation windows, a fraction."""
    windows: int
    """The number of validation windows."""
    worst_group: tuple[str, float] | None
    """The group with the lowest accuracy; None where the windows have no groups."""
    bytes: int
    cost: float | None
    """Microseconds or instructions; None where the size is the only cost."""
    cost_facts: dict[str, Any]
    commands: tuple[str, str]
    """The commands that make this model."""
    on_front: bool

    def __str__(self) -> str:
        """One line of the terminal."""
        group = "" if self.worst_group is None else f" ({group_text(self.worst_group)})"
        return (
            f"trial {self.trial}: {100 * self.accuracy:.2f} % of {self.windows:,} validation windows"
            f"{group}, {self.bytes:,} bytes{self.cost_text}; {settings_text(self.values)}"
        )

    @property
    def cost_text(self) -> str:
        """`, 35.1 us`, or the instructions with the cache misses; empty where there is none."""
        if self.cost is None:
            return ""
        if "l1_misses" not in self.cost_facts:
            return f", {self.cost:.1f} us"
        misses = f"{self.cost_facts['l1_misses']:,} L1, {self.cost_facts['last_level_misses']:,} LL"
        return f", {self.cost:,.0f} instructions ({misses} misses)"


@dataclass(frozen=True)
class SweepReport:
    """The trials of a study that count."""

    spec: SweepSpec
    points: tuple[Point, ...]
    """In the order of the trials. A configuration that was tried again is there once."""
    failed: tuple[tuple[int, str], ...]
    """The number of the trial, and why."""

    @property
    def front(self) -> list[Point]:
        """The points that no other one beats, the smallest file first."""
        return sorted((point for point in self.points if point.on_front), key=lambda item: item.bytes)

    def __str__(self) -> str:
        """The front, and what failed."""
        count = len(self.points) + len(self.failed)
        lines = [f"{len(self.front)} of {count} trials are on the front:"]
        lines += [f"  {point}" for point in self.front]
        lines += [f"trial {number} failed: {problem}" for number, problem in self.failed]
        return "\n".join(lines)


def settings_text(values: dict[str, Any]) -> str:
    """`cell gru, units 16`: the values of the keys of [search]."""
    shown = {
        key: ",".join(map(str, value)) if isinstance(value, list) else value
        for key, value in values.items()
    }
    return ", ".join(
        f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in shown.items()
    )


def group_text(group: tuple[str, float]) -> str:
    """`worst group s3: 85.0 %`"""
    return f"worst group {group[0]}: {100 * group[1]:.2f} %"


def report_of(study: Any, spec: SweepSpec, directions: tuple[str, ...]) -> SweepReport:
    """The report on an optuna.Study."""
    trials = [trial for trial in study.get_trials(deepcopy=False) if counts(trial)]
    complete = [
        trial for trial in trials if trial.values is not None and "same_as" not in trial.user_attrs
    ]
    front = set(pareto_front([trial.values for trial in complete], directions))
    failed = [
        (trial.number, trial.user_attrs[PROBLEM]) for trial in trials if PROBLEM in trial.user_attrs
    ]
    points = [point_of(trial, spec, on_front=k in front) for k, trial in enumerate(complete)]
    return SweepReport(spec, tuple(points), tuple(failed))


def point_of(trial: Any, spec: SweepSpec, *, on_front: bool = False) -> Point:
    """A complete trial (optuna.trial.FrozenTrial) of the spec's study."""
    found = trial.user_attrs
    worst = found["worst_group"]
    return Point(
        trial=trial.number,
        values=found[TRIAL_SETTINGS],
        accuracy=found["accuracy"],
        windows=found["windows"],
        worst_group=None if worst is None else (worst[0], worst[1]),
        bytes=found["bytes"],
        cost=found["cost"],
        cost_facts=found["cost_facts"],
        commands=commands(spec, spec.configuration(found[TRIAL_SETTINGS]), f"trial-{trial.number}"),
        on_front=on_front,
    )
