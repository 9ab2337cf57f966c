"""The search for the limits of int8 cell states."""

from __future__ import annotations

import numpy as np

from convert.compiler.float_graph.unroll import unroll
from convert.compiler.scales.calibrate import affine, calibrate
from convert.compiler.scales.cell_state import state_tensors
from convert.compiler.scales.cell_state_search import STATE_LIMITS, state_candidate, state_quantizations
from convert.compiler.scales.int8_scales import int8_quantizations
from edge_runtime.numpy_engine.interpret import rounding_observer, run
from tests.support.networks import random_network, random_windows


def test_no_single_limit_is_better_than_what_is_found():
    network = random_network(steps=12, features=6, units=24)
    windows = random_windows(network, 200)
    graph = unroll(network)
    ranges, states = calibrate(graph, windows), state_tensors(graph)
    exact = run(graph, windows)

    def error(quantizations) -> float:
        return float(np.mean((run(graph, windows, rounding_observer(quantizations)) - exact) ** 2))

    found = state_quantizations(graph, ranges, windows, states)
    assert set(found) == states
    singles = [error(state_candidate(ranges, states, limit, limit)) for limit in STATE_LIMITS]
    assert error(found) <= min(singles)
    assert error(found) < max(singles)


def test_ranges_that_hardly_differ_become_one_that_includes_them():
    network = random_network(steps=12, features=6, units=24)
    graph = unroll(network)
    ranges, states = calibrate(graph, random_windows(network, 200)), state_tensors(graph)
    found = state_candidate(ranges, states, np.inf, np.inf)
    assert list(found) == list(states)
    for name, quantization in found.items():
        (own,) = affine(ranges[name].central_low, ranges[name].central_high).scale
        assert own <= quantization.scale[0] <= 1.03 * own  # zero_point is a whole number
    by_range = {(ranges[name].central_low, ranges[name].central_high) for name in states}
    assert len({*found.values()}) < len(by_range)


def test_nothing_to_search_without_states():
    network = random_network()
    windows = random_windows(network)
    graph = unroll(network)
    assert state_quantizations(graph, calibrate(graph, windows), windows, set()) == {}


def test_the_search_decides_the_states_and_nothing_else():
    network = random_network()
    windows = random_windows(network)
    graph = unroll(network)
    ranges, states = calibrate(graph, windows), state_tensors(graph)
    found = int8_quantizations(graph, ranges, windows)
    searched = state_quantizations(graph, ranges, windows, states)
    assert {name: found[name] for name in states} == searched
    assert set(found) > states
