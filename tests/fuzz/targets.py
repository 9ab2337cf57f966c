"""Every target by its name."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from random import Random
from typing import Callable

from edge_runtime.engines.engine import NATIVE, installed_engines, usable_engines
from tests.fuzz import input_targets
from tests.fuzz.engine_target import TrustTarget
from tests.fuzz.model_targets import InspectTarget, LoaderTarget, NumpyTarget, VerifyTarget
from tests.fuzz.native_targets import NativeTarget, NetworkTarget, PlanTarget
from tests.fuzz.outcome import Target
from tests.fuzz.table_target import TableTarget

Maker = Callable[[Path], Target]


SANITIZED = ", sanitized"
"""The end of the names of targets that run in a library with sanitizers."""

_NATIVE: dict[str, Maker] = {
    "native engine": NativeTarget,
    "native networks": NetworkTarget,
    "native plans": PlanTarget,
}
_USABLE = _NATIVE if NATIVE in usable_engines() else {}


def _by_engine(
    name: str, target: Callable[..., Target], engines: tuple[str, ...] = usable_engines()
) -> dict[str, Maker]:
    return {f"{name}, {engine}": partial(target, engine=engine) for engine in engines}


TARGETS: dict[str, Maker] = {
    **_by_engine("loader", LoaderTarget),
    **_by_engine("verify", VerifyTarget),
    **_by_engine("trust", TrustTarget, installed_engines()),
    "numpy engine": NumpyTarget,
    **_USABLE,
    **{f"{name}{SANITIZED}": target for name, target in _USABLE.items()},
    "inspect": InspectTarget,
    "pictures": input_targets.pictures,
    "npy, npz": input_targets.arrays,
    "idx": input_targets.idx_files,
    "csv": input_targets.csv_files,
    "tables": TableTarget,
    "lines": input_targets.LinesTarget,
}
"""Name -> the function that makes the target from the folder of the seeds."""


def random_of(name: str, seed: int, index: int) -> Random:
    """The random generator that decides everything about one mutation."""
    return Random(f"{name} {seed} {index}")
