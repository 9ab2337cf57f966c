"""The order in which training sees the windows: a function of the seed and the iteration alone.

So a training that is continued sees what the uninterrupted one would have seen, without a state to keep.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


def batch_positions(
    windows: int, batch_size: int, seed: int, first: int, count: int
) -> NDArray[np.int32]:
    """Positions of the windows of `count` batches from iteration `first`, `[count, batch_size]`.

    Every pass over the windows is another permutation, and a batch may begin in one pass and end in the
    next, so each window occurs once in every pass.
    """
    start, stop = first * batch_size, (first + count) * batch_size
    passes = range(start // windows, -(-stop // windows))
    order = np.concatenate([_permutation(windows, seed, number) for number in passes])
    begin = start - passes.start * windows
    return order[begin : begin + stop - start].reshape(count, batch_size)


@lru_cache(maxsize=2)  # a pass takes many calls
def _permutation(windows: int, seed: int, number: int) -> NDArray[np.int32]:
    return np.random.default_rng([seed, number]).permutation(windows).astype(np.int32)
