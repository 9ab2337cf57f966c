"""The values that a sweep tries for one setting: a list of choices, or a range of numbers."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, Union

from edge_runtime.errors import InputError
from train.sweep.spec_types import NUMBER, RANGED, TRUTH, is_of

Scalar = Union[str, int, float, bool]


@dataclass(frozen=True)
class Choices:
    """One of these values."""

    values: tuple[Any, ...]

    def suggest(self, trial: Any, name: str) -> Any:
        """What Optuna's `trial` shall use. Lists go as JSON, as Optuna keeps scalars only."""
        if all(isinstance(value, (str, int, float, bool)) for value in self.values):
            return trial.suggest_categorical(name, list(self.values))
        return json.loads(trial.suggest_categorical(name, [json.dumps(value) for value in self.values]))

    @property
    def ends(self) -> tuple[Any, ...]:
        """Values to check; with them, all are."""
        return self.values


@dataclass(frozen=True)
class NumberRange:
    """A number from `low` to `high`, both included."""

    low: float
    high: float
    log: bool
    """Whether each factor is equally likely, and not each difference."""
    whole: bool

    def suggest(self, trial: Any, name: str) -> Any:
        """What Optuna's `trial` shall use."""
        if self.whole:
            return trial.suggest_int(name, int(self.low), int(self.high), log=self.log)
        return trial.suggest_float(name, self.low, self.high, log=self.log)

    @property
    def ends(self) -> tuple[Any, ...]:
        """Values to check; with them, all are."""
        return (self.low, self.high)


SearchSpace = dict[str, Union[Choices, NumberRange]]


def read_search(where: str, kind: str, value: Any) -> Choices | NumberRange:
    """A value of the table [search]. `where`: file, table and key, for messages.

    `kind`: what a single value has to be (spec_types). Raises InputError.
    """
    if isinstance(value, dict):
        return _range(where, kind, value)
    if not isinstance(value, list) or not value:
        raise InputError(f"{where}: expected a list of values or a table with low and high.")
    for item in value:
        if not is_of(kind, item):
            raise InputError(f"{where}: found {item!r} in the list. Expected {kind}.")
    if len({json.dumps(item) for item in value}) < len(value):
        raise InputError(f"{where}: a value stands there twice. Name each once.")
    return Choices(tuple(value))


def _range(where: str, kind: str, table: dict[str, Any]) -> NumberRange:
    if kind not in RANGED:
        raise InputError(f"{where}: has no range. Expected a list of values.")
    number = NUMBER if kind == NUMBER else "a whole number"
    kinds = {"low": number, "high": number, "log": TRUTH}
    for key, value in table.items():
        if key not in kinds:
            raise InputError(f"{where}: has the unknown key {key!r}. Choose {', '.join(kinds)}.")
        if not is_of(kinds[key], value) or (number == NUMBER and not math.isfinite(value)):
            raise InputError(f"{where}: {key} is {value!r}. Expected {kinds[key]}.")
    missing = [key for key in ("low", "high") if key not in table]
    if missing:
        raise InputError(f"{where}: has no {' and no '.join(missing)}. Add it.")
    low, high, log = table["low"], table["high"], table.get("log", False)
    if not low < high:
        raise InputError(f"{where}: low is {low} and high {high}. Expected low < high.")
    if log and low <= 0:
        raise InputError(f"{where}: low is {low}. With log = true, expected a number above 0.")
    return NumberRange(low, high, log, whole=number != NUMBER)
