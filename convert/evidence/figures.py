"""The figures of an evidence record: shares with intervals, tests, errors, classes, groups, calibration.

All records are frozen, hold only numbers, strings and tuples of records, and become JSON by their field
names (convert.evidence.record). A figure is None where it cannot be known, for example an accuracy
without true classes. docs/guides/parity-report.md says what each figure means.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Proportion:
    """A share of windows with its confidence limits at 95 %."""

    count: int
    total: int
    low: float
    """For an accuracy the limits are Wilson's two-sided interval. For an agreement they are Clopper and
    Pearson's limits, each of them one-sided."""
    high: float

    @property
    def share(self) -> float:
        """count / total, 0 to 1."""
        return self.count / self.total


@dataclass(frozen=True)
class McNemar:
    """McNemar's exact test: do two models differ in accuracy on the same windows?"""

    only_reference: int
    """Windows on which only the reference (or the baseline) is right."""
    only_model: int
    """Windows on which only the model is right."""
    p_value: float
    """Two-sided. Below 0.05 the difference is more than noise."""


@dataclass(frozen=True)
class LogitErrors:
    """The absolute differences between the model's logits and the reference's."""

    mean: float
    """Over all windows and classes."""
    p99: float
    """99 % of all logits are within it."""
    max: float
    max_in_output_steps: float | None = None
    """The largest in units of the output tensor's scale; None for a float output."""


@dataclass(frozen=True)
class Disagreement:
    """A window that the model and the reference give different classes."""

    window: int
    """Position in the data, from 0."""
    truth: int | None
    reference: int
    model: int
    """Positions of the classes among the labels."""
    reference_margin: float
    """How far the reference's best logit is ahead of its second."""
    near_tie: bool
    """Whether the reference itself holds the two classes for equal within the logit error."""
    group: str | None = None


@dataclass(frozen=True)
class Flip:
    """How often one class of the reference becomes another one of the model."""

    reference: int
    model: int
    windows: int
    near_ties: int


@dataclass(frozen=True)
class ClassScores:
    """Precision, recall and F1 of one class. None where the denominator is 0."""

    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True)
class PerClass:
    """One class, by the reference and by the model."""

    label: str
    windows: int
    """How many windows truly have this class."""
    reference: ClassScores
    model: ClassScores


@dataclass(frozen=True)
class GroupFigures:
    """The windows of one group, such as a person or a device."""

    group: str
    windows: int
    agreement: Proportion
    reference_accuracy: Proportion | None
    model_accuracy: Proportion | None
    mcnemar: McNemar | None


@dataclass(frozen=True)
class Margins:
    """Histogram of the margins, which are how far the best logit is ahead of the second."""

    edges: tuple[float, ...]
    """One more than there are bins."""
    reference: tuple[int, ...]
    """Windows by the reference's margin."""
    model: tuple[int, ...]
    """Windows by the model's own margin."""
    disagreements: tuple[int, ...]
    """Windows with different classes, by the reference's margin."""


@dataclass(frozen=True)
class ReliabilityBin:
    """The windows whose best class has a probability in (low, high]."""

    low: float
    high: float
    windows: int
    confidence: float | None
    """The mean probability of the best class; None without windows."""
    accuracy: float | None


@dataclass(frozen=True)
class Reliability:
    """Whether probabilities can be believed."""

    ece: float
    """Expected calibration error: the mean gap between confidence and accuracy, weighted by windows."""
    bins: tuple[ReliabilityBin, ...]


@dataclass(frozen=True)
class Calibration:
    """The reliability of both."""

    reference: Reliability
    model: Reliability


@dataclass(frozen=True)
class WorstWindow:
    """One of the windows with the largest logit error, disagreements first."""

    window: int
    """Position in the data; its values are in Evidence.windows."""
    truth: int | None
    group: str | None
    reference: int
    model: int
    reference_logits: tuple[float, ...]
    model_logits: tuple[float, ...]
    """For a model with numbers as outputs, the outputs themselves; the classes are then 0."""
    max_logit_error: float
    near_tie: bool


@dataclass(frozen=True)
class OutputFigures:
    """One output of a regression or an embedding."""

    name: str
    spread: float
    """Standard deviation of the reference's output over the windows."""
    mean: float
    """Mean absolute difference between the model and the reference."""
    p99: float
    max: float
    rmse: float
    normalized: float
    """rmse / spread; the outputs of an embedding share one spread."""
    reference_rmse: float | None = None
    """Against the true values, where the data has them."""
    model_rmse: float | None = None


@dataclass(frozen=True)
class NumberFigures:
    """What takes the place of classes for a regression or an embedding."""

    outputs: tuple[OutputFigures, ...]
    normalized: float
    """The error of the worst output, which is judged (edge_runtime.model_file.number_parity)."""
    cosine_mean: float | None = None
    """Cosine of the two output vectors of an embedding, over all windows; None for a regression."""
    cosine_min: float | None = None
    worst_output: str = ""
    """The name of the output with this error."""
    normalized_low: float | None = None
    normalized_high: float | None = None
    """The one-sided limits of `normalized` at 95 %; None without an upper one."""


@dataclass(frozen=True)
class LayerDrift:
    """The errors of one recurrent layer by time step (convert.explain.loss_by_step)."""

    layer: str
    """Empty for the only recurrent layer."""
    errors: dict[str, tuple[float, ...]]
    """State (h, c) -> root mean square error by step, errors of earlier steps included."""
    spread: dict[str, tuple[float, ...]]
    """State -> standard deviation of the float network's values by step."""
    gates: dict[str, tuple[float, ...]]
    """Gate -> the error that it adds by itself, in units of 8-bit rounding; about 1 is normal."""


@dataclass(frozen=True)
class Drift:
    """How errors grow over the steps of a window."""

    windows: int
    verdict: str
    layers: tuple[LayerDrift, ...]


@dataclass(frozen=True)
class ShownWindow:
    """The raw values of a window that the record shows."""

    window: int
    rows: tuple[tuple[float, ...], ...]
    """`[rows][features]`"""
    row_step: int = 1
    """Of a long window, every how many rows are kept."""


@dataclass(frozen=True)
class OperatorCount:
    """How often an operator occurs in the file."""

    name: str
    count: int


@dataclass(frozen=True)
class InstructionCount:
    """Instructions of one inference of the exported C, always with the cache misses."""

    instructions: int
    l1_misses: int
    """Data reads and writes that miss the simulated first-level data cache."""
    last_level_misses: int
    instruction_misses: int
    """Instruction fetches that miss the first-level instruction cache."""
    how: str
    """The tool, the compiler and the cache sizes."""


@dataclass(frozen=True)
class Sizes:
    """Bytes and work of the model."""

    file_bytes: int
    flatbuffer_bytes: int
    parts: dict[str, int] = field(default_factory=dict)
    """Part of the file -> bytes, the largest first."""
    operators: tuple[OperatorCount, ...] = ()
    flash_bytes: int | None = None
    """Constants of the exported C, without code."""
    weight_bytes: int | None = None
    window_ram_bytes: int | None = None
    """RAM of the exported C for windows, without the stack."""
    stream_ram_bytes: int | None = None
    arena_bytes: int | None = None
    """The smallest arena in TensorFlow Lite for Microcontrollers, 64-bit."""
    cost: InstructionCount | None = None
    not_measured: dict[str, str] = field(default_factory=dict)
    """Name of a field above that is None -> why."""
