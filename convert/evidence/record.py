"""What a comparison found: the record behind `edge-rnn parity`, its JSON file and its page.

    Evidence
    |-- identity     when, where and by what command; versions; CPU and caches
    |-- reference    the full model, its data, its answers on every window
    |-- windows      the raw values of the windows that are shown
    `-- models       for each model file
        |-- runs         each engine with each set of kernels: verdict, or why it gave no answer
        |-- results      the figures; runs that are equal bit for bit share one result
        |-- drift, sizes
        `-- baseline     the difference to an older record

The figures are in convert.evidence.figures. `schema` is the version of the JSON: it rises when a field
changes its meaning or disappears, and not when one is added (docs/reference/parity-json.md).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from convert.evidence.figures import (
    Calibration,
    Disagreement,
    Drift,
    Flip,
    GroupFigures,
    LogitErrors,
    Margins,
    McNemar,
    NumberFigures,
    PerClass,
    Proportion,
    ShownWindow,
    Sizes,
    WorstWindow,
)
from edge_runtime.host.optional_packages import needs_extra
from edge_runtime.model_file.binomial import NOT_REFUTED, REFUTED
from edge_runtime.model_file.parity_report import NOT_RUN

SCHEMA = 1
"""The newest version of the JSON that this edge-rnn reads, and the one that it writes."""


@dataclass(frozen=True)
class Identity:
    """Where a record comes from."""

    made: str
    """UTC, as 2026-11-30T17:00:00Z."""
    command: str
    versions: dict[str, str]
    """Program -> version: edge-rnn, python, numpy and the engines."""
    platform: str
    cpu: str
    cores: int
    caches: dict[str, int] = field(default_factory=dict)
    """Cache (L1d, L1i, L2, L3) -> bytes; empty where the system does not say."""


@dataclass(frozen=True)
class ReferenceRecord:
    """The full model and what it answers."""

    name: str
    sha256: str
    """Of the model file, or of the run's model."""
    task: str
    """classification, regression or embedding."""
    labels: tuple[str, ...]
    """Names of the classes or of the outputs."""
    steps: int
    features: int
    data: str
    """The name of the data."""
    data_sha256: str
    """The digest of the data set, or of the arrays of --data."""
    windows_sha256: str
    """Of the compared windows and their order. Only records with the same one have a difference."""
    split: str
    """Where the windows come from."""
    count: int
    """How many windows were compared."""
    positions: tuple[int, ...]
    """Of each compared window, its position in the data; () for 0, 1, 2 and so on."""
    classes: tuple[int, ...]
    """The reference's class of each window; () for a regression or an embedding."""
    truth: tuple[int, ...] | None
    """The true classes, in the same order; None if they are unknown."""
    logits_sha256: str
    accuracy: Proportion | None = None
    versions: dict[str, str] = field(default_factory=dict)
    """Programs that ran the reference -> version."""


@dataclass(frozen=True)
class BudgetRecord:
    """What the model may lose against the reference."""

    min_agreement: float | None
    max_logit_difference: float | None = None
    max_normalized_error: float | None = None
    """For a regression or an embedding."""
    min_cosine: float | None = None


@dataclass(frozen=True)
class Check:
    """One thing that a run was held to."""

    name: str
    """answers, agreement, logit difference, ..."""
    verdict: str
    """proven, not refuted and refuted: edge_runtime.model_file.binomial says what they mean. not run: an
    engine outside the target gave no answer."""
    reason: str


@dataclass(frozen=True)
class EngineRun:
    """One engine with one set of kernels."""

    engine: str
    version: str
    kernels: str
    """default, or the instruction set of the native kernels."""
    required: bool
    """Whether the file's target includes the engine."""
    verdict: str
    """The worst of `checks`."""
    reason: str
    """The verdict in a sentence, or why the engine gave no answer."""
    result: int | None
    """Position of its figures in ModelRecord.results; None if it gave no answer."""
    checks: tuple[Check, ...] = ()
    """What the verdict is made of."""

    @property
    def name(self) -> str:
        """`native avx2`, or the engine's name alone for its default kernels."""
        return self.engine if self.kernels == "default" else f"{self.engine} {self.kernels}"


@dataclass(frozen=True)
class ResultRecord:
    """The figures of all runs whose outputs are equal bit for bit."""

    logits_sha256: str
    window_hashes: str
    """A hash of each window's logits, 4 hexadecimal digits each: they tell which windows changed."""
    logit_errors: LogitErrors
    worst: tuple[WorstWindow, ...]
    agreement: Proportion | None = None
    """Windows with the reference's class, of all windows."""
    judged: Proportion | None = None
    """The same without near ties, with the one-sided limits at 95 % that decide the verdict."""
    accuracy: Proportion | None = None
    mcnemar: McNemar | None = None
    near_ties: int = 0
    """How many of the disagreements are near ties."""
    disagreements: tuple[Disagreement, ...] = ()
    flips: tuple[Flip, ...] = ()
    per_class: tuple[PerClass, ...] = ()
    """Empty without true classes."""
    groups: tuple[GroupFigures, ...] = ()
    """The worst agreement first; empty where the data has no groups."""
    margins: Margins | None = None
    calibration: Calibration | None = None
    numbers: NumberFigures | None = None
    """For a regression or an embedding, in place of all figures about classes."""


@dataclass(frozen=True)
class ChangedWindow:
    """A window whose class differs from the baseline's."""

    window: int
    truth: int | None
    before: int
    after: int


@dataclass(frozen=True)
class Difference:
    """A result against the same engine's in the baseline."""

    runs: tuple[str, ...]
    """Names of the runs."""
    broken: tuple[ChangedWindow, ...]
    """Right in the baseline, now wrong. Without true classes, right means: as the reference."""
    mended: tuple[ChangedWindow, ...]
    changed: tuple[ChangedWindow, ...]
    """Another class, but as right or wrong as before."""
    changed_logits: int
    """Windows with the same class and other logits."""
    mcnemar: McNemar
    """Baseline (as the reference) against now."""
    verdict: str
    """worse, better, noise or same."""


@dataclass(frozen=True)
class BaselineRecord:
    """The difference to an older record of the same reference and windows."""

    name: str
    made: str
    edge_rnn: str
    model_sha256: str | None
    """The file that the baseline measured; None if it has no model of this name."""
    incomparable: str | None = None
    """Why there is no difference, as a sentence."""
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True)
class NotProven:
    """Something that this record does not show."""

    what: str
    why: str


@dataclass(frozen=True)
class ModelRecord:
    """One model file."""

    name: str
    path: str
    sha256: str
    flatbuffer_sha256: str
    precision: str
    target: str
    graph: str
    """unrolled or step."""
    tools: dict[str, str]
    """Programs that made the file -> version."""
    budget: BudgetRecord
    verdict: str
    """The worst of its runs that count."""
    reason: str
    runs: tuple[EngineRun, ...]
    results: tuple[ResultRecord, ...]
    not_proven: tuple[NotProven, ...]
    sizes: Sizes
    drift: Drift | None = None
    notes: tuple[str, ...] = ()
    """Sentences about the file."""
    baseline: BaselineRecord | None = None

    @property
    def equal_runs(self) -> tuple[tuple[str, ...], ...]:
        """Names of the runs whose logits are equal bit for bit, in groups."""
        return tuple(
            tuple(run.name for run in self.runs if run.result == index)
            for index in range(len(self.results))
        )


@dataclass(frozen=True)
class Evidence:
    """The whole record. Printable; JSON both ways."""

    identity: Identity
    reference: ReferenceRecord
    models: tuple[ModelRecord, ...]
    windows: tuple[ShownWindow, ...]
    """The values of all worst windows, by position."""
    verdict: str
    """The worst verdict of all models."""
    summary: str
    """The verdict line."""
    strict: bool = False
    """Whether `not refuted` counts as a failure."""
    schema: int = SCHEMA

    @property
    def exit_code(self) -> int:
        """0 proven or not refuted, 1 refuted."""
        failed = {REFUTED, NOT_REFUTED, NOT_RUN} if self.strict else {REFUTED, NOT_RUN}
        return int(self.verdict in failed)

    def __bool__(self) -> bool:
        return self.exit_code == 0

    def __str__(self) -> str:
        """The verdict line."""
        return self.summary

    def to_json(self) -> dict[str, Any]:
        """An object of JSON types; `from_json` reads it back to an equal record."""
        record: dict[str, Any] = json.loads(json.dumps(asdict(self), allow_nan=False))
        return record

    @classmethod
    def from_json(cls, record: Any) -> Evidence:
        """Read what `to_json` wrote. Raises ValueError that names the field at fault."""
        schema = record.get("schema") if isinstance(record, dict) else None
        if not isinstance(schema, int) or schema < 1:
            raise ValueError("not a record of edge-rnn parity, as it lacks the field schema")
        if schema > SCHEMA:
            raise ValueError(f"schema is {schema}, and this edge-rnn reads up to {SCHEMA}")
        with needs_extra("workstation", "msgspec", "a parity record"):
            import msgspec
        found: Evidence = msgspec.convert(record, cls)
        return found
