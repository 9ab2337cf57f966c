"""Prints the SHA-256 of converted networks as JSON, for comparison between computers."""

from __future__ import annotations

import hashlib
import json

from convert.compiler.compile import compile_network
from tests.support.networks import layer_combinations, random_network, random_windows

CASES = [
    ("float32", "any"),
    ("dynamic", "any"),
    ("int4", "litert-2.3"),
    ("int8", "any"),
    ("mixed", "any"),
    ("int16x8", "any"),
]
"""Precision and target."""

STEPWISE = ("stacked", "large")
"""Networks that are also converted to the graph of a single step."""


def main() -> None:
    networks = {**layer_combinations(), "large": random_network(12, 20, 48, 10)}
    digests = {}
    for name, network in networks.items():
        windows = random_windows(network, 100)
        for graph in ("unrolled", "step") if name in STEPWISE else ("unrolled",):
            for precision, target in CASES:
                data = compile_network(network, windows, precision=precision, target=target, graph=graph)
                digests[f"{name} {precision} {graph}"] = hashlib.sha256(data).hexdigest()
    print(json.dumps(digests))


if __name__ == "__main__":
    main()
