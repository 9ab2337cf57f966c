"""Mutations of a plan of the native engine: of its header, calls, ends, parameters, and any bytes."""

from __future__ import annotations

import struct
from functools import lru_cache
from random import Random

from edge_runtime.native.plan_format import (
    MAP_PARAMS,
    MATMUL_PARAMS,
    PLAN_CALL,
    PLAN_END,
    PLAN_HEADER,
    REDUCTION_PARAMS,
    Kernel,
)
from tests.fuzz.bytes_mutations import WORDS, flip_bits, overwritten, set_bytes

MATMULS = (Kernel.MATMUL_S8, Kernel.MATMUL_S16, Kernel.MATMUL_F32, Kernel.MATMUL_HYBRID)
REDUCTIONS = (Kernel.MEAN_F32, Kernel.MAX_S8, Kernel.MAX_S16, Kernel.MAX_F32)


@lru_cache(maxsize=512)
def fields(plan: bytes) -> dict[str, tuple[int, ...]]:
    """Part of a sound plan -> positions of its numbers, which have four bytes each."""
    _, _, _, _, calls_at, call_count, ends_at, *counts = PLAN_HEADER.unpack_from(plan)
    calls = [PLAN_CALL.unpack_from(plan, calls_at + k * PLAN_CALL.size) for k in range(call_count)]
    params = {at: _params_size(Kernel(kernel)) for kernel, _, _, _, at in calls}
    return {
        "header": _every(0, PLAN_HEADER.size),
        "calls": _every(calls_at, PLAN_CALL.size * call_count),
        "ends": _every(ends_at, PLAN_END.size * sum(counts[:2])),
        "parameters": tuple(k for at, size in params.items() for k in _every(at, size)),
    }


def _params_size(kernel: Kernel) -> int:
    found = (
        MATMUL_PARAMS if kernel in MATMULS else REDUCTION_PARAMS if kernel in REDUCTIONS else MAP_PARAMS
    )
    return found.size


def _every(start: int, size: int) -> tuple[int, ...]:
    return tuple(range(start, start + size, 4))


def mutated_plan(rng: Random, plan: bytes) -> tuple[str, bytes]:
    """What was changed, and a plan of the same size, as its header says how large it is."""
    kind = rng.choice(("header", "calls", "calls", "ends", "parameters", "parameters", "bytes"))
    if kind == "bytes":
        return kind, rng.choice((flip_bits, set_bytes))(rng, plan)
    changed, places = plan, fields(plan)[kind]
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        changed = overwritten(changed, rng.choice(places), _value(rng, plan, places))
    return kind, changed


def _value(rng: Random, plan: bytes, places: tuple[int, ...]) -> bytes:
    """Another number for a field: often a little too large, or that of another field."""
    (old,) = struct.unpack_from("<I", plan, rng.choice(places))
    arena = PLAN_HEADER.unpack_from(plan)[3]
    value = rng.choice(
        (
            old + rng.choice((-64, -16, -4, -2, -1, 1, 2, 4, 16, 64)),
            old * 2,
            old ^ (1 << rng.randrange(32)),
            old,
            rng.choice(WORDS),
            rng.randrange(40),
            rng.randrange(len(plan)) // 64 * 64,
            max(arena - rng.choice((0, 1, 4, 16, 60, 64, 128)), 0),
            (1 << 31) | rng.randrange(len(plan)),
        )
    )
    return struct.pack("<I", value % (1 << 32))
