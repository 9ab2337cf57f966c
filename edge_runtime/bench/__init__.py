"""`edge-rnn bench`: what a model costs on this machine, measured in processes of their own.

    from edge_runtime import bench_model

    print(bench_model("mnist-int8.tflite", seconds=2))

`measure` is the procedure, `child_session` starts the processes, and `child` runs in them. `report` has
the results, `machine_state` the state of the machine, `memory` that of a process, `operator_profile` the
profile of the numpy engine, `picture` the bars.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.host.lazy_names import lazy_attributes

if TYPE_CHECKING:
    from edge_runtime.bench.machine_state import MachineState
    from edge_runtime.bench.measure import bench_model
    from edge_runtime.bench.report import BenchReport

_HOMES = {
    "BenchReport": "edge_runtime.bench.report",
    "MachineState": "edge_runtime.bench.machine_state",
    "bench_model": "edge_runtime.bench.measure",
}

__all__ = ["BenchReport", "MachineState", "bench_model"]

__getattr__ = lazy_attributes(__name__, _HOMES)
