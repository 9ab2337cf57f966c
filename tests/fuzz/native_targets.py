"""The native engine as a target: model files and graphs that were changed, and plans.

What the engine answers has to be what the numpy engine answers. The same targets run in a library with
sanitizers, where a wrong access ends the process.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import numpy as np

from edge_runtime.errors import EdgeRnnError, ModelError
from edge_runtime.inference.classifier import Classifier
from edge_runtime.model_file.read_file import read_model_file
from edge_runtime.native.interpreter import NativeInterpreter
from edge_runtime.native.library import load_library
from edge_runtime.numpy_engine.interpreter import NumpyInterpreter
from tests.fuzz.flatbuffer_mutations import changed_contents, mutated_flatbuffer
from tests.fuzz.model_targets import NumpyTarget, window_of
from tests.fuzz.outcome import Mutation, Outcome, WrongAnswerError
from tests.fuzz.plan_mutations import mutated_plan
from tests.fuzz.seeds import FLOATS, read_networks
from tests.support.exact_memory import Block
from tests.support.native_plans import Checked, Raw, plan_of

FLOAT_ROUNDING = 1e-4
"""Of the largest value. Changed weights add up to a small difference of large numbers."""

LARGEST_STRIDE = 1 << 22
"""Bytes of a lane that the plans' target provides."""

ODD_VALUES = (0.0, 1.0, -3.0, 1e-40, 1e30, float("inf"), float("nan"))


class NativeTarget(NumpyTarget):
    """Model files whose digest was not checked, in the native engine."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._kernels = load_library().kernels

    def check(self, path: Path, mutation: Mutation) -> Outcome:
        kernels = self._kernels[sum(mutation.data[:8]) % len(self._kernels)]
        window = window_of(read_model_file(path, trust=True), mutation)
        with Classifier(path, engine="native", kernels=kernels, trust=True) as classifier:
            found = classifier.logits(np.stack([window] * 3))
        try:
            with Classifier(path, engine="numpy", trust=True) as classifier:
                expected = classifier.logits(window)
        except EdgeRnnError as error:
            raise WrongAnswerError(f"numpy refuses what native answers: {error}") from error
        for logits in found:
            _demand_same(logits, expected[0], mutation.seed)
        return Outcome.ANSWERED


class NetworkTarget:
    """Graphs with every kind of layer, in the native engine."""

    def __init__(self, folder: Path) -> None:
        self._networks = read_networks(folder)
        self._kernels = load_library().kernels

    def mutation(self, rng: Random) -> Mutation:
        name = rng.choice(sorted(self._networks))
        change = rng.choice((mutated_flatbuffer, changed_contents))
        data = change(rng, self._networks[name])
        return Mutation(data, ".tflite", rng.choice(self._kernels), name)

    def check(self, path: Path, mutation: Mutation) -> Outcome:
        try:
            native = NativeInterpreter(path.read_bytes(), mutation.kind)
        except ValueError as error:
            raise ModelError(f"{path}: {error}") from error
        try:
            plain = NumpyInterpreter(path.read_bytes())
        except ValueError as error:
            raise WrongAnswerError(f"numpy refuses what native answers: {error}") from error
        rng = np.random.default_rng(len(mutation.data))
        for detail in native.get_input_details():
            values = rng.normal(0, 1, detail["shape"])
            if detail["dtype"] is not np.float32:
                values = rng.integers(-128, 128, detail["shape"])
            for engine in (native, plain):
                engine.set_tensor(detail["index"], values.astype(detail["dtype"]))
        native.invoke()
        plain.invoke()
        for detail in native.get_output_details():
            found, expected = (engine.get_tensor(detail["index"]) for engine in (native, plain))
            if found.dtype == np.float32:
                _demand_same(found, expected, mutation.seed)
            else:
                np.testing.assert_array_equal(found, expected)
        return Outcome.ANSWERED


def _demand_same(found: np.ndarray, expected: np.ndarray, seed: str) -> None:
    """Raises AssertionError unless the numbers are equal, or close where floats are multiplied."""
    exact = not seed.startswith(FLOATS)
    finite = np.abs(expected[np.isfinite(expected)])
    limit = 0.0 if exact else FLOAT_ROUNDING * float(finite.max(initial=0.0))
    np.testing.assert_allclose(found, expected, rtol=0, atol=limit)


class PlanTarget:
    """Plans that were changed: er_check refuses them, or they run in memory of exactly their size."""

    def __init__(self, folder: Path) -> None:
        self._plans = dict(_plans(read_networks(folder)))

    def mutation(self, rng: Random) -> Mutation:
        name = rng.choice(sorted(self._plans))
        kind, data = mutated_plan(rng, self._plans[name])
        return Mutation(data, ".plan", kind, name)

    def check(self, path: Path, mutation: Mutation) -> Outcome:
        rng = Random(mutation.data)
        with Checked(mutation.seed.partition(", ")[0], mutation.data) as plan:
            problem = plan.problem()
            if not problem and plan.stride > LARGEST_STRIDE:
                problem = "its arena is larger than this test provides"
            if problem:
                raise ModelError(f"{path}: {problem}")
            for lanes in (1, rng.randrange(2, 6)):
                with plan.arena(lanes) as arena:
                    plan.reset(arena, lanes)
                    plan.run(arena, lanes)
                    _run_raw(rng, plan, arena, lanes)
                    plan.demand_untouched(arena, lanes)
        return Outcome.ANSWERED


def _plans(networks: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    for name, flatbuffer in networks.items():
        for kernels in load_library().kernels:
            yield f"{kernels}, {name}", plan_of(flatbuffer, kernels).data.tobytes()


def _run_raw(rng: Random, plan: Checked, arena: Block, lanes: int) -> None:
    """Windows of any settings, most of which fit by chance only."""
    count, classes = plan.ends()
    features = rng.choice((0, 1, 2, 5, count, max(count // 7, 1), count + 1))
    rows = rng.choice((0, 1, 2, 7, count // features if features else 3))
    if rows * features > LARGEST_STRIDE or classes > LARGEST_STRIDE:
        return
    windows = np.array([rng.choice(ODD_VALUES) for _ in range(2 * rows * features)], np.float32)
    settings = np.array([rng.choice(ODD_VALUES) for _ in range(2 * features + 2)], np.float32)
    kind, by_row = rng.randrange(3), rng.randrange(2)
    with (
        Block(windows.tobytes()[: windows.size * (4 if kind else 1)]) as source,
        Block(settings[: features + 1].tobytes()) as means,
        Block(settings[features + 1 :].tobytes()) as stds,
        Block(bytes(4 * 256)) as table,
        Block(bytes(4 * 2 * max(rows, 1) * classes)) as logits,
    ):
        many = (rng.choice((1, features, features + 2)) for _ in range(2))
        tokens = rng.choice((0, 1, 1 << 31, (1 << 32) - 1))
        raw = Raw(
            features, rows, *many, tokens, 0, means.address, stds.address, rng.choice((0, table.address))
        )
        job = {"arena": arena.address, "windows": source.address, "logits": logits.address}
        plan.windows(raw, **job, type=kind, count=2, lanes=rng.randrange(lanes + 1), by_row=by_row)
        plan.step(raw, **job, type=kind)
