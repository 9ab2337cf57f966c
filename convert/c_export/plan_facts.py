"""What the generated code has to know of a plan: its calls, their kernels, and its weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_runtime.native.plan_format import (
    GATHER_PARAMS,
    MATMUL_PARAMS,
    PLAN_CALL,
    PLAN_HEADER,
    Kernel,
    aligned,
)

MATMULS = (Kernel.MATMUL_S8, Kernel.MATMUL_S16, Kernel.MATMUL_F32, Kernel.MATMUL_HYBRID)
ROW_BLOCK = 16
"""The values that rows of a matrix are padded to a multiple of."""


@dataclass(frozen=True)
class PlanFacts:
    """Facts of one plan."""

    calls: int
    """Offset of the first call."""
    call_count: int
    kernels: tuple[Kernel, ...]
    """Those that are called, in the order of their numbers."""
    weight_bytes: int
    """Bytes of all matrices and tables, each once, with the zeros that pad their rows."""


def plan_facts(data: NDArray[np.uint8]) -> PlanFacts:
    """The facts of a plan whose weights are in rows."""
    plan = data.tobytes()
    header = PLAN_HEADER.unpack_from(plan)
    offset, count = header[4], header[5]
    calls = [PLAN_CALL.unpack_from(plan, offset + k * PLAN_CALL.size) for k in range(count)]
    kernels = sorted({Kernel(call[0]) for call in calls})
    matrices = {}
    for kernel, table, *_, params in calls:
        if kernel == Kernel.GATHER:
            _, width, rows, *_ = GATHER_PARAMS.unpack_from(plan, params)
            matrices[table] = width * rows
        if kernel in MATMULS:
            _, inputs, outputs, _, _, weights, *_ = MATMUL_PARAMS.unpack_from(plan, params)
            size = 4 if kernel == Kernel.MATMUL_F32 else 1
            matrices[weights] = size * outputs * aligned(inputs, ROW_BLOCK)
    return PlanFacts(offset, count, tuple(kernels), sum(matrices.values()))
