"""Networks with branches, as readers build them: every node knows the nodes that it reads.

window = Node()
rows = Node(lstm, window)                                   # a chain
both = Node(Join("sum", "add"), rows, Node(dense, rows))    # a residual connection
network = network_of(both, steps=28, features=28)
"""

from __future__ import annotations

from convert.source_model.network import STATIC, WINDOW, Layer, Network


class Node:
    """One value of a network: the window, the static input, or what a layer makes of other nodes."""

    def __init__(self, layer: Layer | None = None, *sources: Node, static: bool = False) -> None:
        """`layer` None: the window, or the static input with `static`."""
        self.layer = layer
        self.sources = sources
        self.static = static


def network_of(output: Node, *, steps: int, features: int, static: int = 0) -> Network:
    """The network that computes `output`, with each layer once and in an order that can be computed.

    A node that several others read is one layer. The arguments are those of Network.
    """
    numbers: dict[int, int] = {}
    layers: list[Layer] = []
    wiring: list[tuple[int, ...]] = []
    pending = [(output, False)]
    while pending:
        node, visited = pending.pop()
        if id(node) in numbers:
            continue
        if node.layer is None:
            numbers[id(node)] = STATIC if node.static else WINDOW
        elif visited:
            numbers[id(node)] = len(layers)
            layers.append(node.layer)
            wiring.append(tuple(numbers[id(source)] for source in node.sources))
        else:
            pending.append((node, True))
            pending += [(source, False) for source in reversed(node.sources)]
    chain = Network(steps, features, tuple(layers), static=static)
    if tuple(wiring) == chain.sources:
        return chain
    return Network(steps, features, tuple(layers), tuple(wiring), static)


def nodes_of(network: Network) -> list[Node]:
    """A new node for each layer of the network, in its order; the last one is the output."""
    window, static = Node(), Node(static=True)
    nodes: list[Node] = []
    for layer, numbers in zip(network.layers, network.sources):
        given = {WINDOW: window, STATIC: static}
        nodes.append(Node(layer, *(given.get(k) or nodes[k] for k in numbers)))
    return nodes
