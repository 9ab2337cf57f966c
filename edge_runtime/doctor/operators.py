"""Which versions of operators the engines load, and which operators of a model they refuse.

The facts are recorded in operator_facts.json by scripts/operator_facts.py, from the converter's table,
which was measured in the engines (docs/guides/targets.md).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from edge_runtime.engines.engine import NATIVE

OPERATOR_FACTS = Path(__file__).with_name("operator_facts.json")


@dataclass(frozen=True)
class Series:
    """A minor version of an engine, e.g. tflite-runtime-2.14."""

    name: str
    """As `edge-rnn convert --target` names it."""
    package: str
    series: str
    precisions: tuple[str, ...]
    """Precisions that the converter offers for it."""
    op_versions: Mapping[str, int]
    """Operator -> the highest version that it loads."""

    def refused(self, operators: Iterable[tuple[str, int]]) -> tuple[str, ...]:
        """A clause for each of `operators` (name, version) that it does not load."""
        return tuple(
            f"{name} version {version} ({self._highest(name)})"
            for name, version in operators
            if version > self.op_versions.get(name, 0)
        )

    def _highest(self, name: str) -> str:
        highest = self.op_versions.get(name)
        return f"it loads up to version {highest}" if highest else "it has no version of it"


def series_of(package: str, version: str) -> Series | None:
    """The series that this version of the engine belongs to; None when it is not in the table.

    NATIVE has one only, the one that comes with the table.
    """
    return next(
        (
            item
            for item in _table()
            if item.package == package
            and (package == NATIVE or f"{version}.".startswith(f"{item.series}."))
        ),
        None,
    )


@lru_cache
def _table() -> tuple[Series, ...]:
    return tuple(
        Series(**{**item, "precisions": tuple(item["precisions"])})
        for item in json.loads(OPERATOR_FACTS.read_text("utf-8"))["engines"]
    )
