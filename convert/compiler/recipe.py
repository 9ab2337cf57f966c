"""Recipes: TOML files that set precision and ranges by layer and by tensor.

    precision = "int8"          # in place of --precision

    [[range]]                   # integer activations: what the range of these tensors holds
    tensors = "c*"              # by name, as fnmatch patterns; a layer's tensors start with its name
    low = -4.0
    high = 4.0

    [[weights]]                 # float activations: how these matrices are stored
    tensors = "dense_kernel"
    precision = "float32"       # float32, float16, int8 or int4
    per_channel = true

docs/internals/graph.md lists the names of tensors. A range of a tensor that shares its scale with
others (see shared_scales) holds for all of them; a scale that the format fixes cannot be set.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from convert.compiler.scales.calibrate import affine
from convert.compiler.scales.shared_scales import FIXED, shared_groups
from convert.compiler.weights.formats import SCHEME_FORMATS, WEIGHT_KINDS, WeightFormat
from convert.targets.precision import PRECISIONS
from convert.targets.target import Target
from edge_runtime.errors import InputError
from edge_runtime.tflite.graph import Graph, Quantization

INFINITE = (float("-inf"), float("inf"))


@dataclass(frozen=True)
class RangeRule:
    """The range of all tensors whose names match."""

    tensors: str
    low: float
    high: float


@dataclass(frozen=True)
class WeightRule:
    """The storage of all matrices whose names match."""

    tensors: str
    format: WeightFormat


@dataclass(frozen=True)
class Recipe:
    """A recipe that has been read."""

    path: str
    sha256: str
    precision: str | None
    ranges: tuple[RangeRule, ...]
    weights: tuple[WeightRule, ...]

    def __str__(self) -> str:
        """One line for the metadata."""
        rules = [f"{rule.tensors} in {rule.low:g} to {rule.high:g}" for rule in self.ranges]
        rules += [f"{rule.tensors} as {rule.format.kind}" for rule in self.weights]
        name = f"recipe {Path(self.path).name} (SHA-256 {self.sha256[:12]})"
        return f"{name}: {', '.join(rules) or 'no rules'}"

    def check(self, scheme: str, target: Target) -> None:
        """Raises InputError for rules that do not go with the quantization scheme or the target."""
        if self.ranges and scheme not in ("int8", "int8-float-state"):
            raise InputError(f"{self.path}: [[range]] goes with int8 and mixed only. Leave it out.")
        if self.weights and scheme not in SCHEME_FORMATS:
            raise InputError(
                f"{self.path}: [[weights]] goes with float activations only. Leave it out, or choose "
                "float32, float16, dynamic or int4."
            )
        stored = {item: name for name, item in SCHEME_FORMATS.items()}
        for rule in self.weights:
            if stored[rule.format] not in target.schemes:
                raise InputError(
                    f"{self.path}: [[weights]] {rule.tensors!r} asks for {stored[rule.format]}, which "
                    f"target {target.name} does not run correctly. Choose another format or --target."
                )

    def apply_ranges(
        self, graph: Graph, quantizations: Mapping[str, Quantization]
    ) -> dict[str, Quantization]:
        """`quantizations` of an int8 graph with the recipe's ranges in place.

        Raises InputError for a pattern that matches no tensor, and for a scale that the format fixes.
        """
        result = dict(quantizations)
        groups = {name: group for group in shared_groups(graph) for name in group}
        fixed = {op.outputs[0] for op in graph.operators if op.op in FIXED}
        for rule in self.ranges:
            for name in _matching(self.path, rule.tensors, result):
                together = groups.get(name, [name])
                if fixed & set(together):
                    raise InputError(
                        f"{self.path}: [[range]] {rule.tensors!r} sets the scale of {name}, which is "
                        "fixed by the TFLite format (LOGISTIC and TANH). Leave it out."
                    )
                result.update(dict.fromkeys(together, affine(rule.low, rule.high)))
        return result

    def apply_formats(self, formats: Mapping[str, WeightFormat]) -> dict[str, WeightFormat]:
        """The format of each matrix, by name, with the recipe's in place.

        Raises InputError for a pattern that matches no matrix.
        """
        result = dict(formats)
        for rule in self.weights:
            for name in _matching(self.path, rule.tensors, result):
                result[name] = rule.format
        return result


def _matching(path: str, pattern: str, names: Iterable[str]) -> list[str]:
    known = list(names)
    found = [name for name in known if fnmatchcase(name, pattern)]
    if not found:
        some = ", ".join(known[:8])
        raise InputError(f"{path}: {pattern!r} matches no tensor. The first tensors are {some}.")
    return found


def read_recipe(path: str | Path) -> Recipe:
    """Read a recipe. Raises InputError, naming the key, for anything that is not as described above."""
    if sys.version_info < (3, 11):
        raise InputError(f"{path}: recipes need Python 3.11 or newer, which can read TOML.")
    import tomllib

    try:
        data = Path(path).read_bytes()
        content = tomllib.loads(data.decode("utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot read the recipe ({error.strerror}).") from None
    except ValueError as error:  # TOMLDecodeError, UnicodeDecodeError
        raise InputError(f"{path}: not TOML ({error}).") from None
    _check_keys(path, "", content, {"precision": str, "range": list, "weights": list})
    precision = content.get("precision")
    if precision is not None and precision not in PRECISIONS:
        raise InputError(f"{path}: unknown precision {precision!r}. Choose {', '.join(PRECISIONS)}.")
    return Recipe(
        str(path),
        hashlib.sha256(data).hexdigest(),
        precision,
        tuple(_range(path, item) for item in content.get("range", [])),
        tuple(_weights(path, item) for item in content.get("weights", [])),
    )


def _range(path: str | Path, item: Any) -> RangeRule:
    number = (int, float)
    _check_keys(path, "[[range]] ", item, {"tensors": str, "low": number, "high": number}, every=True)
    if item["low"] in INFINITE or item["high"] in INFINITE:
        raise InputError(f"{path}: [[range]] {item['tensors']!r} needs two finite numbers.")
    if not item["low"] < item["high"]:
        raise InputError(
            f"{path}: [[range]] {item['tensors']!r} has low {item['low']} and high {item['high']}. "
            "Expected low < high."
        )
    return RangeRule(item["tensors"], float(item["low"]), float(item["high"]))


def _weights(path: str | Path, item: Any) -> WeightRule:
    kinds = {"tensors": str, "precision": str}
    _check_keys(path, "[[weights]] ", item, {**kinds, "per_channel": bool})
    _check_keys(
        path, "[[weights]] ", {key: item[key] for key in kinds if key in item}, kinds, every=True
    )
    if item["precision"] not in WEIGHT_KINDS:
        raise InputError(
            f"{path}: [[weights]] has precision {item['precision']!r}. Choose {', '.join(WEIGHT_KINDS)}."
        )
    integer = item["precision"] in ("int8", "int4")
    if "per_channel" in item and not integer:
        raise InputError(
            f"{path}: [[weights]] {item['tensors']!r}: per_channel goes with int8 and int4 only."
        )
    return WeightRule(item["tensors"], WeightFormat(item["precision"], item.get("per_channel", True)))


def _check_keys(
    path: str | Path, where: str, table: Any, kinds: Mapping[str, Any], *, every: bool = False
) -> None:
    if not isinstance(table, dict):
        raise InputError(f"{path}: {where}expected a table, found {table!r}.")
    for key, value in table.items():
        if key not in kinds:
            raise InputError(f"{path}: {where}has the unknown key {key!r}. Choose {', '.join(kinds)}.")
        if not isinstance(value, kinds[key]) or (isinstance(value, bool) and kinds[key] is not bool):
            raise InputError(f"{path}: {where}{key} has the wrong type ({value!r}).")
    missing = [key for key in kinds if key not in table] if every else []
    if missing:
        raise InputError(f"{path}: {where}lacks {', '.join(missing)}.")
