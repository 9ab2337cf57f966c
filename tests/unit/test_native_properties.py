"""Any layers, sizes and integer precisions: the native engine gives the numpy engine's bits.

With every set of kernels that this CPU has, for whole windows and step by step, several windows at once
as one at a time. `pytest --hypothesis-profile explore --hypothesis-seed N` tries other networks.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convert.compiler.compile import lower
from convert.model_file.flatbuffer import serialize
from convert.source_model.network import (
    Affine,
    Bidirectional,
    Conv1d,
    GlobalPooling,
    Layer,
    LayerNorm,
    Network,
)
from convert.targets.target import Target
from edge_runtime.native.library import load_library
from edge_runtime.numpy_engine.interpreter import NumpyInterpreter
from scripts.engine_cases import schemes
from tests.support.branching_networks import branching_networks
from tests.support.native_cases import run
from tests.support.native_plans import plan_of, run_together
from tests.support.networks import RandomLayers, random_windows
from tests.support.random_networks import random_branching_network

INTEGER = sorted(set(schemes()) - {"float32", "float16"})
"""Schemes whose matmuls are of integers."""

recurrent = st.fixed_dictionaries(
    {
        "cell": st.sampled_from(["lstm", "gru", "simple"]),
        "units": st.one_of(st.integers(1, 20), st.integers(1, 140)),
        "both_ways": st.sampled_from([None, None, "concat", "sum", "mul", "ave"]),
        "reset_after": st.booleans(),
        "after": st.sampled_from([None, None, "norm", "affine"]),
    }
)
networks = st.fixed_dictionaries(
    {
        "steps": st.integers(1, 9),
        "features": st.one_of(st.integers(1, 20), st.integers(1, 80)),
        "classes": st.integers(2, 20),
        "seed": st.integers(0, 1000),
        "convolution": st.booleans(),
        "by_row": st.booleans(),  # only layers that a graph of one step can have
        "layers": st.lists(recurrent, min_size=1, max_size=3),
        "end": st.sampled_from([None, None, "average", "max", "relu", "tanh", "sigmoid", "softmax"]),
    }
)


def network_of(drawn: dict) -> Network:
    """The network that was drawn."""
    make = RandomLayers(drawn["seed"])
    layers: list[Layer] = []
    width, by_row = drawn["features"], drawn["by_row"]
    if drawn["convolution"] and not by_row:
        layers.append(Conv1d("conv", make.weights(6, 3, width), make.weights(6), padding=(1, 1)))
        width = 6
    pooling = drawn["end"] in ("average", "max") and not by_row
    for number, layer in enumerate(drawn["layers"]):
        sequences = pooling or number < len(drawn["layers"]) - 1
        layer = {**layer, "both_ways": None if by_row else layer["both_ways"]}
        added, width = _recurrent(make, width, layer, sequences, number)
        layers.extend(added)
    if pooling:
        layers.append(GlobalPooling("pool", drawn["end"]))
    elif drawn["end"] not in (None, "average", "max"):
        layers.append(make.dense(width, 9, drawn["end"], "hidden"))
        width = 9
    layers.append(make.dense(width, drawn["classes"], name="logits"))
    return Network(drawn["steps"], drawn["features"], tuple(layers))


def _recurrent(
    make: RandomLayers, width: int, drawn: dict, sequences: bool, number: int
) -> tuple[list[Layer], int]:
    units = drawn["units"]
    options = {"return_sequences": sequences}
    if drawn["cell"] == "gru":
        options["reset_after"] = drawn["reset_after"]

    def cell(name: str, **more: bool) -> Layer:
        return getattr(make, drawn["cell"])(width, units, f"{name}{number}", **options, **more)

    merge = drawn["both_ways"]
    layer = Bidirectional(f"both{number}", cell("there"), cell("back", go_backwards=True), merge)
    found: list[Layer] = [layer if merge else cell("cell")]
    units *= 2 if merge == "concat" else 1
    if drawn["after"] == "norm":
        found.append(LayerNorm(f"norm{number}", make.weights(units), make.weights(units), 1e-3))
    elif drawn["after"] == "affine":
        found.append(Affine(f"affine{number}", make.weights(units), make.weights(units)))
    return found, units


@given(drawn=networks, scheme=st.sampled_from(INTEGER), lanes=st.integers(2, 9))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_network_has_the_numpy_engines_bits(drawn, scheme, lanes):
    demand_the_numpy_engines_bits(network_of(drawn), scheme, lanes)


@given(seed=st.integers(0, 10_000), scheme=st.sampled_from(INTEGER), lanes=st.integers(2, 9))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_networks_with_branches_have_the_numpy_engines_bits(seed, scheme, lanes):
    demand_the_numpy_engines_bits(random_branching_network(seed), scheme, lanes)


@pytest.mark.parametrize("scheme", INTEGER)
@pytest.mark.parametrize("kind", branching_networks())
def test_kinds_have_the_numpy_engines_bits(kind, scheme):
    demand_the_numpy_engines_bits(branching_networks()[kind], scheme, 3)


def demand_the_numpy_engines_bits(network: Network, scheme: str, lanes: int) -> None:
    """Raises AssertionError unless every set of kernels gives them, unrolled and by step."""
    windows = random_windows(network, lanes, seed=2)
    for graph in graphs(network, scheme):
        flatbuffer = serialize(graph)
        plain = NumpyInterpreter(flatbuffer)
        encoded = graph.tensors[graph.input].encode(windows)
        calls, expected = [], []
        for window in encoded:
            states = [
                np.full(detail["shape"], detail["quantization"][1], detail["dtype"])
                for detail in plain.get_input_details()[1:]
            ]
            for part in window if graph.states else window[np.newaxis]:
                calls.append([part, *states])
                expected.append(run(plain, calls[-1]))
                states = expected[-1][1:]
        for kernels in load_library().kernels:
            plan = plan_of(flatbuffer, kernels)
            together = run_together(kernels, plan, calls[:lanes])
            one_by_one = [run_together(kernels, plan, [call])[0] for call in calls]
            demand_equal(together, expected, f"{kernels}, {lanes} at once")
            demand_equal(one_by_one, expected, f"{kernels}, one at a time")


def graphs(network: Network, scheme: str) -> Iterator:
    """Of whole windows, and of one step where the network can be written so."""
    target, windows = Target("probe", (), frozenset({scheme})), random_windows(network, 20)
    for kind in ("unrolled", "step"):
        try:
            yield lower(network, windows, precision=schemes()[scheme], target=target, graph=kind)
        except (ValueError, NotImplementedError):
            if kind == "unrolled":
                raise


def demand_equal(found: list, expected: list, what: str) -> None:
    """Raises AssertionError unless all bits of all outputs are equal; zeros of both signs are."""
    for outputs, wanted in zip(found, expected):
        for got, want in zip(outputs, wanted):
            np.testing.assert_array_equal(got, want, what)
