"""A process that runs the trials of a small study, as `edge-rnn sweep` does, without training anything.

    python -m tests.support.sweep_process FOLDER STORAGE TRIALS HANG

STORAGE: a database URL, or - for a file in FOLDER. In its trial HANG, counted from 0, the process makes
FOLDER/hangs and stops for good; -1: never.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_runtime.errors import DataError
from train.sweep.liveness import join_workers
from train.sweep.search_space import Choices, NumberRange
from train.sweep.study import Measured, StudyPlan, open_study, run_trials

PLAN = StudyPlan(
    name="small",
    space={"units": Choices((4, 8)), "rate": NumberRange(0.001, 0.1, log=True, whole=False)},
    directions=("maximize", "minimize"),
    trials=6,
    seed=0,
    sampler="tpe",
    fingerprint="the small study",
)
REFUSED = 0.05
"""Rates above fail with a sentence."""


def main(folder: Path, storage: str | None, trials: int, hang: int) -> None:
    seen = 0

    def evaluate(values: Mapping[str, Any]) -> Measured:
        nonlocal seen
        if seen == hang:
            (folder / "hangs").touch()
            time.sleep(1000)
        seen += 1
        time.sleep(0.05)
        if values["rate"] > REFUSED:
            raise DataError("the rate is too high")
        return Measured((values["rate"] * values["units"], values["units"]), {"done": True})

    plan = StudyPlan(**{**vars(PLAN), "trials": trials})
    with join_workers(folder) as worker:
        study = open_study(plan, worker, storage, heartbeat=1, grace=2)
        run_trials(study, plan, worker, evaluate, lambda trial: print(trial.number, flush=True))


if __name__ == "__main__":
    out, url, count, stop = sys.argv[1:]
    main(Path(out), None if url == "-" else url, int(count), int(stop))
