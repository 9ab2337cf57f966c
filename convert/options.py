"""How a source model is converted: the options that hold for every precision."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from convert.compiler.recipe import Recipe, read_recipe
from convert.targets.precision import Precision, scheme_for
from convert.targets.target import TARGETS, Target
from edge_runtime.errors import InputError
from edge_runtime.model_file.binomial import PROVEN
from edge_runtime.model_file.metadata import CLASSIFICATION, EMBEDDING, REGRESSION, STEP, UNROLLED
from edge_runtime.model_file.number_parity import ErrorBudget
from edge_runtime.model_file.parity_figures import Budget, ParityBudget
from edge_runtime.model_file.parity_report import NOT_RUN, ParityReport

AUTO_PRECISION, ALL = "auto", "all"
"""What --precision takes besides the name of a precision."""

DEFAULT_PRECISION = "int8"


@dataclass(frozen=True)
class ConversionOptions:
    """How a source model is converted. Raises InputError for values that are out of range or contradict.

    The messages name the options of `edge-rnn convert`.
    """

    target: Target = TARGETS["any"]
    """The engines that must load the file and compute it correctly."""
    graph: str = UNROLLED
    """unrolled: a window in, its logits out. step: one row and the states in and out."""
    min_agreement: float | None = None
    """The smallest fraction of windows, 0 to 1, on which the file must give the full model's class.
    None: the precision's own budget."""
    max_logit_difference: float | None = None
    """The largest difference that one logit may have. None: the precision's own budget."""
    max_error: float | None = None
    """Of a regression or an embedding: the largest error of an output, in standard deviations of the
    full model's (number_parity). None: the precision's own budget."""
    min_cosine: float | None = None
    """Of an embedding: the smallest cosine with the full model's vector. None: the precision's own."""
    require_engine: bool = False
    """Write no file that is not proven in every engine of the target."""
    strict: bool = False
    """Write no file whose proof is weak: whose windows are too few to prove the budget."""
    explain: str | Path | None = None
    """Folder for the loss by step and gate (convert.explain.loss_by_step), as JSON and as a picture."""
    recipe: Recipe | None = None
    """Ranges and weight formats by tensor."""
    strip: bool = False
    """Write no tensor names (model_file.flatbuffer.serialize)."""

    def __post_init__(self) -> None:
        agreement, difference = self.min_agreement, self.max_logit_difference
        if self.graph not in (UNROLLED, STEP):
            raise InputError(f"--graph: unknown graph {self.graph!r}. Choose {UNROLLED} or {STEP}.")
        if agreement is not None and not 0 <= agreement <= 1:
            raise InputError(f"--min-agreement: expected 0 to 1, found {agreement}.")
        if difference is not None and not difference >= 0:
            raise InputError(f"--max-logit-difference: expected at least 0, found {difference}.")
        if self.max_error is not None and not self.max_error >= 0:
            raise InputError(f"--max-error: expected at least 0, found {self.max_error}.")
        if self.min_cosine is not None and not -1 <= self.min_cosine <= 1:
            raise InputError(f"--min-cosine: expected -1 to 1, found {self.min_cosine}.")
        if self.explain is not None and self.graph == STEP:
            raise InputError("--explain: compares the steps of a window. Leave out --graph step.")
        if self.explain is not None and Path(self.explain).is_file():
            raise InputError(f"{self.explain}: is a file. --explain names a folder.")

    def with_recipe(self, recipe: str | Path | Recipe | None) -> ConversionOptions:
        """The same options with a recipe, read if it is a path. Raises what `read_recipe` raises."""
        read = read_recipe(recipe) if isinstance(recipe, (str, Path)) else recipe
        return replace(self, recipe=read)

    def precision(self, given: str | None) -> str:
        """The precision to convert to: the one that was given, the recipe's, or int8.

        Raises InputError where the recipe sets another one than the one that was given.
        """
        recipe = self.recipe
        if recipe is None or recipe.precision is None:
            return given or DEFAULT_PRECISION
        if given is not None and given != recipe.precision:
            raise InputError(
                f"--precision: {given} contradicts {recipe.path}, which sets {recipe.precision}. "
                "Leave one of them out."
            )
        return recipe.precision

    def check(self, precision: str) -> None:
        """Raises InputError for a precision that is unknown, or that the other options rule out."""
        scheme = scheme_for(precision, self.target)
        self.precision(precision)
        if self.recipe is not None:
            self.recipe.check(scheme, self.target)

    def check_task(self, task: str) -> None:
        """Raises InputError for a part of the budget that a model of this task does not have."""
        classes = ("min_agreement", "max_logit_difference")
        foreign = {
            CLASSIFICATION: ("max_error", "min_cosine"),
            REGRESSION: (*classes, "min_cosine"),
            EMBEDDING: classes,
        }
        for name in foreign[task]:
            if getattr(self, name) is not None:
                own = "--min-agreement" if task == CLASSIFICATION else "--max-error"
                option = name.replace("_", "-")
                raise InputError(f"--{option}: does not go with the task {task}. Use {own}.")

    def budget(self, precision: Precision, task: str = CLASSIFICATION) -> Budget:
        """The parity budget of a file in `precision`."""
        if task != CLASSIFICATION:
            numbers = precision.number_budget
            cosine = numbers.min_cosine if self.min_cosine is None else self.min_cosine
            return ErrorBudget(
                numbers.max_error if self.max_error is None else self.max_error,
                cosine if task == EMBEDDING else None,
            )
        own = precision.budget
        return ParityBudget(
            own.min_agreement if self.min_agreement is None else self.min_agreement,
            own.max_logit_difference if self.max_logit_difference is None else self.max_logit_difference,
        )

    def refusal(self, report: ParityReport) -> str | None:
        """Why a file with this proof is not written, as a clause; None where it is written."""
        if report.failed:
            return "as the parity proof failed"
        if self.require_engine and report.not_proven:
            return f"as it is not proven on {', '.join(report.not_proven)} (--require-engine)"
        if self.strict and report.verdict == NOT_RUN:
            return "as no engine of the target ran it (--strict)"
        if self.strict and report.verdict != PROVEN:
            return f"as its proof on {report.windows:,} windows is weak (--strict)"
        return None
