"""Reads SPEC.toml, the description of a sweep.

    [data]                          # what --data and the data options of 'edge-rnn train' say
    path = "recordings"
    label_column = "activity"

    [train]                         # a preset, and hyperparameters that all trials have
    preset = "sensor"
    iterations = 2000

    [convert]                       # precision (default: int8) and target (default: any)
    target = "any"

    [search]                        # what differs: lists of values, or ranges
    cell = ["lstm", "gru"]
    units = [16, 32, 64]
    layers = [1, 2]
    window = [64, 128]
    precision = ["int8", "mixed"]
    learning_rate = { low = 0.001, high = 0.01, log = true }

    [sweep]
    trials = 40
    seed = 0
    cost = "latency"                # latency, instructions or size

docs/guides/sweep.md describes every key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_runtime.errors import InputError
from train.hyperparameters import PRESETS, Hyperparameters, layered_units, preset
from train.recordings.data_options import DataOptions
from train.sweep.search_space import Choices, SearchSpace, read_search
from train.sweep.spec_types import TEXT, WHOLE, is_of, setting_kinds

COSTS = ("latency", "instructions", "size")
SAMPLERS = ("tpe", "nsga2", "random")
LAYERS_KEY = "layers"
"""A key of ours: the units are those of each of so many layers."""

_HYPERPARAMETERS = {**setting_kinds(Hyperparameters), LAYERS_KEY: WHOLE}
_DATA = setting_kinds(DataOptions)
_CONVERT = {"precision": TEXT, "target": TEXT}
_SWEEP = {"trials": WHOLE, "seed": WHOLE, "folds": WHOLE, "cost": TEXT, "sampler": TEXT, "name": TEXT}
_SAME_WINDOWS = ("seed", "validation_fraction")
"""Hyperparameters that would change which windows judge: choosing among them is choosing a lucky
split."""
_SEARCHED_DATA = ("window", "hop")
_SEARCHED = {
    **{key: kind for key, kind in _HYPERPARAMETERS.items() if key not in _SAME_WINDOWS},
    **{key: _DATA[key] for key in _SEARCHED_DATA},
    "precision": TEXT,
}
_TABLES = ("data", "train", "convert", "search", "sweep")


@dataclass(frozen=True)
class Configuration:
    """The settings of one trial."""

    settings: dict[str, Any]
    """Those of [train] and [search] that are hyperparameters, `layers` worked into `units`."""
    hyperparameters: Hyperparameters
    options: DataOptions
    precision: str


@dataclass(frozen=True)
class SweepSpec:
    """The content of SPEC.toml, checked."""

    path: str
    data: str
    """As --data takes it."""
    data_dir: str | None
    options: dict[str, Any]
    """The data options that are given, by their names in DataOptions."""
    preset: str
    fixed: dict[str, Any]
    """The hyperparameters, by name, that all trials have."""
    precision: str
    target: str
    search: SearchSpace
    trials: int
    seed: int
    """Of the search. That of the training is a hyperparameter."""
    cost: str
    sampler: str
    folds: int | None
    name: str
    """Of the study, for databases that hold several."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what makes trials comparable: all but the path, the name and `trials`."""
        free = ("path", "name", "trials")
        shown = {key: value for key, value in vars(self).items() if key not in free}
        return hashlib.sha256(json.dumps(shown, sort_keys=True, default=repr).encode()).hexdigest()

    @property
    def precisions(self) -> tuple[str, ...]:
        """Every precision that a trial may have."""
        searched = self.search.get("precision")
        return searched.values if isinstance(searched, Choices) else (self.precision,)

    def configuration(self, values: Mapping[str, Any]) -> Configuration:
        """The configuration with these values of the keys of [search].

        Raises InputError for settings that contradict each other.
        """
        data = {key: value for key, value in values.items() if key in _SEARCHED_DATA}
        own = {key: value for key, value in values.items() if key in _HYPERPARAMETERS}
        settings = {**self.fixed, **own}
        layers = settings.pop(LAYERS_KEY, None)
        if layers is not None:
            settings["units"] = layered_units(settings.get("units", PRESETS[self.preset].units), layers)
        if "epochs" in settings and "iterations" in settings:
            raise InputError("--epochs: has no meaning with iterations. Leave one of them out.")
        return Configuration(
            settings,
            preset(self.preset, **settings),
            _data_options({**self.options, **data}),
            values.get("precision", self.precision),
        )


def _data_options(given: Mapping[str, Any]) -> DataOptions:
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in given.items()
    }
    return DataOptions(**values)


def read_spec(path: str | Path) -> SweepSpec:
    """Read SPEC.toml. Raises InputError, which names the table and the key that is wrong."""
    content = _read_toml(path)
    _known(f"{path}", content, dict.fromkeys(_TABLES, "a table"))
    data = _table(path, content, "data", {"path": TEXT, "data_dir": TEXT, **_DATA})
    train = _table(path, content, "train", {"preset": TEXT, **_HYPERPARAMETERS})
    convert = _table(path, content, "convert", _CONVERT)
    sweep = _table(path, content, "sweep", _SWEEP)
    search = _search(path, content.get("search", {}))
    if "path" not in data:
        raise InputError(f"{path}: [data] has no path. Name a data set, as for --data.")
    name = train.pop("preset", "default")
    _one_of(f"{path}: [train] preset", name, tuple(PRESETS))
    spec = SweepSpec(
        path=str(path),
        data=data.pop("path"),
        data_dir=data.pop("data_dir", None),
        options=data,
        preset=name,
        fixed=train,
        precision=convert.get("precision", "int8"),
        target=convert.get("target", "any"),
        search=search,
        trials=sweep.get("trials", 0),
        seed=sweep.get("seed", 0),
        cost=sweep.get("cost", "latency"),
        sampler=sweep.get("sampler", "tpe"),
        folds=sweep.get("folds"),
        name=sweep.get("name", Path(path).stem),
    )
    _check_numbers(spec)
    _check_once(spec, {**data, **train, **convert})
    _check_values(spec)
    return spec


def _read_toml(path: str | Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(Path(path).read_bytes().decode("utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot read the sweep's description ({error.strerror}).") from None
    except ValueError as error:  # TOMLDecodeError, UnicodeDecodeError
        raise InputError(f"{path}: not TOML ({error}).") from None


def _known(where: str, table: Any, kinds: Mapping[str, str]) -> None:
    """Raises InputError where `table` is none, or has a key that is not in `kinds`."""
    if not isinstance(table, dict):
        raise InputError(f"{where}: expected a table, found {table!r}.")
    for key in table:
        if key not in kinds:
            raise InputError(f"{where}: has the unknown key {key!r}. Choose {', '.join(kinds)}.")


def _table(
    path: str | Path, content: dict[str, Any], name: str, kinds: Mapping[str, str]
) -> dict[str, Any]:
    table = content.get(name, {})
    where = f"{path}: [{name}]"
    _known(where, table, kinds)
    for key, value in table.items():
        if not is_of(kinds[key], value):
            raise InputError(f"{where} {key}: is {value!r}. Expected {kinds[key]}.")
    return dict(table)


def _search(path: str | Path, table: Any) -> SearchSpace:
    where = f"{path}: [search]"
    if isinstance(table, dict):
        for key in _SAME_WINDOWS:
            if key in table:
                raise InputError(
                    f"{where} {key}: changes the windows that judge. Set it in [train], for all trials."
                )
    _known(where, table, _SEARCHED)
    if not table:
        raise InputError(f"{where}: has no key. Choose {', '.join(_SEARCHED)}.")
    return {key: read_search(f"{where} {key}", _SEARCHED[key], value) for key, value in table.items()}


def _one_of(where: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InputError(f"{where}: cannot be {value!r}. Choose {', '.join(choices)}.")


def _check_numbers(spec: SweepSpec) -> None:
    where = f"{spec.path}: [sweep]"
    _one_of(f"{where} cost", spec.cost, COSTS)
    _one_of(f"{where} sampler", spec.sampler, SAMPLERS)
    least = {"trials": (spec.trials, 1), "folds": (spec.folds, 2), "seed": (spec.seed, 0)}
    for key, (value, smallest) in least.items():
        if value is not None and value < smallest:
            found = "has no" if key == "trials" and value == 0 else f"{value} is too small for"
            raise InputError(f"{where}: {found} {key}. Expected at least {smallest}.")


def _check_once(spec: SweepSpec, fixed: Mapping[str, Any]) -> None:
    for key in spec.search:
        if key in fixed:
            raise InputError(
                f"{spec.path}: [search] {key}: is set elsewhere too. Leave one of them out."
            )


def _check_values(spec: SweepSpec) -> None:
    """Try the first value of every key together, and then each other value in its place."""
    first = {key: item.ends[0] for key, item in spec.search.items()}
    for key, item in spec.search.items():
        for value in item.ends:
            _check_configuration(spec, {**first, key: value})


def _check_configuration(spec: SweepSpec, values: Mapping[str, Any]) -> None:
    """Raises the InputError of an option as one that names the file, the table and the key."""
    try:
        spec.configuration(values)
    except InputError as error:
        option, _, problem = str(error).partition(": ")
        key = option.lstrip("-").replace("-", "_")
        tables = {"search": spec.search, "data": spec.options, "train": spec.fixed}
        table = next((name for name, keys in tables.items() if key in keys), "train")
        raise InputError(f"{spec.path}: [{table}] {key}: {problem}") from None
