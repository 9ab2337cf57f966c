"""The Pareto front: the points that no other point beats in everything."""

from __future__ import annotations

from collections.abc import Sequence

MAXIMIZE = "maximize"


def pareto_front(points: Sequence[Sequence[float]], directions: Sequence[str]) -> list[int]:
    """Positions of the points that are not dominated, in their order. Of equal points only the first.

    `points`: `[N, objectives]`, finite. `directions`: maximize or minimize, for each objective. A point
    dominates another one that it is at least as good as in every objective, and better in one.
    """
    signs = [-1 if direction == MAXIMIZE else 1 for direction in directions]
    costs = [tuple(sign * value for sign, value in zip(signs, point)) for point in points]
    first = {cost: position for position, cost in reversed(list(enumerate(costs)))}
    kept: list[tuple[float, ...]] = []
    # What dominates a point comes before it in lexicographic order, and is dominated itself or kept.
    for cost in sorted(first):
        if not any(all(a <= b for a, b in zip(other, cost)) for other in kept):
            kept.append(cost)
    return sorted(first[cost] for cost in kept)
