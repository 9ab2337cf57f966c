"""What is known about a data set: the content of the report and of its JSON."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Places:
    """How often something is found in the rows, and where first."""

    count: int = 0
    first: str | None = None
    """`FILE, line N`; None if it is nowhere."""


@dataclass(frozen=True)
class ClassFacts:
    """One class."""

    label: str
    recordings: int
    """Those in which it occurs; 0 for a data set of windows."""
    rows: int
    seconds: float | None
    """None without times."""
    groups: int
    """Those in which it occurs."""
    windows: dict[str, int]
    """By split; empty if the windows cannot be made."""


@dataclass(frozen=True)
class GroupFacts:
    """One person, device or site."""

    name: str
    recordings: int
    rows: int
    rows_of_classes: tuple[int, ...]
    """In the order of the classes. Windows, for a data set of windows."""
    splits: tuple[str, ...]
    """The parts of the split that have windows of the group."""


@dataclass(frozen=True)
class FeatureFacts:
    """One channel, over all rows."""

    name: str
    minimum: float | None
    """None, like the next three, if every value is missing."""
    maximum: float | None
    mean: float | None
    std: float | None
    missing: int
    """Values that are missing."""
    recordings_without: int
    """Recordings in which every value is missing."""
    recordings_constant: int
    """Recordings of at least two rows in which every value is the same."""

    @property
    def constant(self) -> bool:
        """Whether all values of the data set are the same."""
        return self.minimum is not None and self.minimum == self.maximum


@dataclass(frozen=True)
class RateFacts:
    """How many rows come in a second. A recording's rate is 1 / its median step in time."""

    median_hz: float
    """The median over the recordings."""
    slowest_hz: float
    fastest_hz: float
    step_low: float
    """The 5th percentile of all steps in time, each divided by its recording's median."""
    step_high: float
    """The 95th percentile."""


@dataclass(frozen=True)
class GapFacts:
    """Steps in time that are so long that a row must be missing."""

    count: int
    longest_seconds: float
    first: str | None


@dataclass(frozen=True)
class SplitFacts:
    """One part of the split that `edge-rnn train` makes."""

    name: str
    windows: int
    groups: tuple[str, ...]


@dataclass(frozen=True)
class WindowFacts:
    """The windows that `edge-rnn train` cuts."""

    steps: int
    features: int
    dtype: str
    method: str | None
    """How they are split: `windows`, `recordings`, `groups`, `time`, `given`."""
    splits: tuple[SplitFacts, ...]
    notes: tuple[str, ...]
    """What `train` says about the data set."""

    @property
    def count(self) -> int:
        """The windows of all parts."""
        return sum(split.windows for split in self.splits)


@dataclass(frozen=True)
class RecordingFacts:
    """What only recordings have."""

    count: int
    rows: int
    shortest: int
    """Rows of the shortest recording."""
    median: float
    longest: int
    too_short: int
    """Recordings with fewer rows than a window."""
    seconds: float | None
    rate: RateFacts | None
    gaps: GapFacts
    not_ascending: Places
    """Rows whose time is not later than that of the row before, or is missing."""
    missing: Places
    """Rows with a missing value."""
    unlabelled: Places
    """Rows without a class."""


@dataclass(frozen=True)
class DataFacts:
    """All that `edge-rnn data` knows."""

    name: str
    image: bool
    classes: tuple[ClassFacts, ...]
    groups: tuple[GroupFacts, ...]
    features: tuple[FeatureFacts, ...]
    recordings: RecordingFacts | None
    """None for a data set of windows."""
    windows: WindowFacts | None
    """None if `refusal` says why not."""
    refusal: str | None
    """The sentence with which `edge-rnn train` would stop."""
    fill: str | None = None
    """What `--fill` makes of missing values and gaps; they are counted as they are in the files."""
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """All fields, as JSON can hold them."""
        return dataclasses.asdict(self)
