"""python -m tests.support.native_child CASES: runs models in the library that the environment names.

CASES is a pickle of Case objects. Every model runs with every set of kernels that this CPU has, one to
five windows at a time, in memory of exactly its size, and has to give the numpy engine's values: the
same bits where they are integers. Raw windows go through er_windows and er_step. Prints the counts.
"""

from __future__ import annotations

import json
import pickle
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_runtime.native.library import load_library
from edge_runtime.native.planner import Plan
from tests.support.exact_memory import Block
from tests.support.native_plans import (
    DOES_NOT_FIT,
    NO_TOKEN,
    OK,
    Arrays,
    Checked,
    Raw,
    plan_of,
    run_together,
)

MOST_LANES = 5
FLOAT_ROUNDING = 1e-5
"""Of the largest value: float32 sums in another order."""

BYTES, FLOATS, WHOLE = 0, 1, 2
"""er_raw_type."""

TOKENS = 7
"""Tokens of the windows of models that take them."""


@dataclass(frozen=True)
class Case:
    """A model with what the numpy engine computes."""

    name: str
    flatbuffer: bytes
    calls: list[Arrays]
    """MOST_LANES runs: the values of the inputs."""
    expected: list[Arrays]
    """And of the outputs."""
    rows: int
    """Rows of its windows, if er_windows can run them; else 0."""
    features: int = 1

    def __call__(self, kernels: str, counts: Counter[str]) -> None:
        """Run everything. Raises AssertionError when something differs."""
        plan = plan_of(self.flatbuffer, kernels)
        for lanes in range(1, MOST_LANES + 1):
            found = run_together(kernels, plan, self.calls[-lanes:])
            for outputs, expected in zip(found, self.expected[-lanes:]):
                for got, want in zip(outputs, expected):
                    demand_same(got, want, f"{self.name}, {kernels}, {lanes} at once")
            counts["runs"] += 1
        if self.rows:
            self._windows(kernels, plan, counts)

    def _windows(self, kernels: str, plan: Plan, counts: Counter[str]) -> None:
        rng = np.random.default_rng(0)
        classes = int(np.prod(plan.outputs[0].tensor.shape))
        shape = (MOST_LANES, self.rows, self.features)
        floats = rng.normal(0, 1, shape).astype(np.float32)
        kinds = [(FLOATS, floats), (BYTES, rng.integers(0, 256, shape, np.uint8))]
        if plan.inputs[0].tensor.dtype == np.int32:
            kinds = [(WHOLE, rng.integers(0, TOKENS, shape, np.int32))]
        for kind, windows in kinds:
            for by_row in (False, True):
                answers = self.rows if by_row and len(plan.inputs) > 1 else 1
                results = [
                    self._logits(kernels, plan, lanes, kind, windows, by_row, answers * classes)
                    for lanes in range(1, MOST_LANES + 2)
                ]
                assert all(found == results[0] for found in results), f"{self.name}: lanes differ"
                counts["windows"] += len(results) * MOST_LANES

    def _logits(
        self,
        kernels: str,
        plan: Plan,
        lanes: int,
        kind: int,
        windows: np.ndarray,
        by_row: bool,
        size: int,
    ) -> bytes:
        mean, std = np.zeros(self.features, np.float32), np.full(self.features, 64, np.float32)
        with (
            Checked(kernels, plan.data.tobytes()) as checked,
            Block(mean.tobytes()) as means,
            Block(std.tobytes()) as stds,
            Block(windows.tobytes()) as source,
            Block(bytes(4 * size * len(windows))) as logits,
            checked.arena(lanes) as arena,
        ):
            counts = (self.features, self.rows, self.features, self.features)
            raw = Raw(*counts, TOKENS, 0, means.address, stds.address)
            job = {"arena": arena.address, "windows": source.address, "logits": logits.address}
            many = {"count": len(windows), "lanes": lanes, "type": kind, "by_row": by_row}
            status = checked.windows(raw, **job, **many)
            assert status == OK, f"{self.name}: status {status}"
            checked.demand_untouched(arena, lanes)
            self._misfits(checked, raw, {**job, "count": 1, "type": kind})
            if len(plan.inputs) > 1:
                checked.reset(arena, 1)
                assert checked.step(raw, **job, type=kind) == OK
            return logits.values.tobytes()

    def _misfits(self, checked: Checked, raw: Raw, job: dict[str, int]) -> None:
        changes = [("features", 0), ("features", self.features * self.rows + 1), ("rows", 0)]
        changes += [("features", 2**32 - 1)]
        if job["type"] != WHOLE:
            changes += [("mean_count", 0), ("std_count", self.features + 1)]
        for name, value in changes:
            wrong = Raw.from_buffer_copy(raw)
            setattr(wrong, name, value)
            assert checked.windows(wrong, **job, lanes=1) == DOES_NOT_FIT
            assert checked.step(wrong, **job) == DOES_NOT_FIT
        assert checked.windows(raw, **job, lanes=0) == DOES_NOT_FIT
        other = FLOATS if job["type"] == WHOLE else WHOLE
        assert checked.windows(raw, **{**job, "type": other}, lanes=1) == DOES_NOT_FIT
        if job["type"] == WHOLE:
            few = Raw.from_buffer_copy(raw)
            few.tokens = 0
            assert checked.windows(few, **job, lanes=1) == NO_TOKEN


def demand_same(got: np.ndarray, want: np.ndarray, what: str) -> None:
    """Raises AssertionError unless integers are equal and floats close."""
    if want.dtype != np.float32:
        np.testing.assert_array_equal(got, want, what)
    else:
        largest = max(float(np.abs(want).max()), 1e-9)
        np.testing.assert_allclose(got, want, 0, FLOAT_ROUNDING * largest, err_msg=what)


def main(path: Path) -> None:
    counts: Counter[str] = Counter()
    kernels = load_library().kernels
    for case in pickle.loads(path.read_bytes()):
        for name in kernels:
            case(name, counts)
        counts["models"] += 1
    print(json.dumps({"kernels": kernels, **counts}))


if __name__ == "__main__":
    from tests.support.native_child import main as run  # so that Case is the class of the pickle

    run(Path(sys.argv[1]))
