"""Runs plans of the native engine in memory that has exactly their size (exact_memory)."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_runtime.native.interpreter import LAYOUTS
from edge_runtime.native.library import load_library
from edge_runtime.native.plan_format import PLAN_END, PLAN_HEADER, SLACK
from edge_runtime.native.planner import Plan, make_plan
from edge_runtime.numpy_engine.read_graph import read_graph
from tests.support.exact_memory import Block

UNSET = b"\xff"
"""What an arena is filled with: NaN, where it is read as float32."""

OK, INPUT_NOT_FINITE, LOGITS_NOT_FINITE, DOES_NOT_FIT, NO_TOKEN = range(5)
"""er_status."""

Arrays = list[np.ndarray]


class Raw(ctypes.Structure):
    """er_raw."""

    _fields_ = (
        *((name, ctypes.c_uint32) for name in ("features", "rows", "mean_count", "std_count")),
        *((name, ctypes.c_uint32) for name in ("tokens", "reserved")),
        *((name, ctypes.c_void_p) for name in ("mean", "std", "table")),
    )


class Job(ctypes.Structure):
    """er_job."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("kernels", "plan", "raw", "arena", "windows", "logits")),
        ("count", ctypes.c_size_t),
        *((name, ctypes.c_uint32) for name in ("lanes", "type", "by_row")),
    )


class Checked:
    """A plan with the kernels that it is for, in a block of its own. Use it in a with statement."""

    def __init__(self, kernels: str, data: bytes) -> None:
        library = load_library()
        self.functions, self.table = library.functions, library.table(kernels)
        self.size, self._block = len(data), Block(data, read_only=True)

    def __enter__(self) -> Checked:
        return self

    def __exit__(self, *error: object) -> None:
        self._block.__exit__(*error)

    def problem(self) -> str:
        """What er_check says."""
        found = self.functions.er_check(self.table, self._block.address, self.size)
        return found.decode() if found else ""

    def arena(self, lanes: int) -> Block:
        """Memory for so many lanes."""
        return Block(UNSET * (self.stride * lanes))

    @property
    def stride(self) -> int:
        """Bytes of a lane."""
        return int(PLAN_HEADER.unpack(self._block.values[: PLAN_HEADER.size].tobytes())[3]) + SLACK

    def ends(self) -> tuple[int, int]:
        """How many values the first input and the first output have."""
        at, inputs = PLAN_HEADER.unpack(self._block.values[: PLAN_HEADER.size].tobytes())[6:8]
        counts = (at + PLAN_END.size * k for k in (0, inputs))
        first, other = (
            PLAN_END.unpack(self._block.values[k : k + PLAN_END.size].tobytes())[1] for k in counts
        )
        return first, other

    def run(self, arena: Block, lanes: int) -> None:
        """er_run. Raises AssertionError when the plan or the space between lanes was written to."""
        self.functions.er_run(self.table, self._block.address, arena.address, lanes)
        self.demand_untouched(arena, lanes)

    def demand_untouched(self, arena: Block, lanes: int) -> None:
        slack = arena.values[: self.stride * lanes].reshape(lanes, self.stride)[:, -SLACK:]
        assert slack.tobytes() == UNSET * slack.size, "the space between lanes was written to"
        assert self._block.unchanged(), "the plan was written to"

    def reset(self, arena: Block, lanes: int) -> None:
        """er_reset."""
        self.functions.er_reset(self._block.address, arena.address, lanes)

    def windows(self, raw: Raw, **values: int) -> int:
        """er_windows, with its status. `values`: of the job, without kernels, plan and raw."""
        return int(self.functions.er_windows(ctypes.byref(self._job(raw, values))))

    def step(self, raw: Raw, **values: int) -> int:
        """er_step, with its status."""
        return int(self.functions.er_step(ctypes.byref(self._job(raw, values))))

    def _job(self, raw: Raw, values: dict[str, int]) -> Job:
        place = ctypes.addressof(raw)
        return Job(kernels=self.table, plan=self._block.address, raw=place, **values)


def plan_of(flatbuffer: bytes, kernels: str) -> Plan:
    """The plan of a model for a set of kernels."""
    return make_plan(read_graph(flatbuffer), LAYOUTS[kernels])


def run_together(kernels: str, plan: Plan, calls: Sequence[Arrays]) -> list[Arrays]:
    """The outputs for each of several runs' inputs, all computed at once, a lane for each."""
    with Checked(kernels, plan.data.tobytes()) as checked:
        assert not checked.problem()
        with checked.arena(len(calls)) as arena:
            lanes = arena.values.reshape(len(calls), plan.lane_stride)
            for lane, inputs in zip(lanes, calls):
                for end, values in zip(plan.inputs, inputs):
                    _part(lane, end)[...] = values.reshape(end.tensor.shape)
            checked.run(arena, len(calls))
            return [[_part(lane, end).copy() for end in plan.outputs] for lane in lanes]


def _part(lane: np.ndarray, end: Any) -> np.ndarray:
    size = int(np.prod(end.tensor.shape)) * end.tensor.dtype.itemsize
    found = lane[end.offset : end.offset + size].view(end.tensor.dtype)
    return found.reshape(end.tensor.shape)
