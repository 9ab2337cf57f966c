"""A whole sweep: checks what it needs, joins the study, runs trials, and writes the front."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Callable

from edge_runtime.errors import InputError
from edge_runtime.host.child_process import run_module
from train.fitting.fit import require_tensorflow
from train.sweep.choose import ChosenModel, choose_trial
from train.sweep.cost import check_tools
from train.sweep.front_files import write_report
from train.sweep.liveness import join_workers
from train.sweep.report import SweepReport, point_of, report_of
from train.sweep.spec import SweepSpec
from train.sweep.study import PROBLEM, StudyPlan, open_study, require_optuna, run_trials, storage_errors
from train.sweep.trial import Trials


def run_sweep(
    spec: SweepSpec,
    out: str | Path,
    *,
    storage: str | None = None,
    progress: Callable[[str], Any] = print,
) -> SweepReport:
    """Run the trials of a spec, with other processes that were given the same arguments, to the end.

    - `out`: the folder for the study and for front.md, front.json and front.png.
    - `storage`: the URL of a database for the study, instead of a file in `out`.
    - `progress`: gets a line for each trial of this process.

    Raises InputError and DataError for settings, data and storages that cannot be used, and
    MissingExtraError without TensorFlow or Optuna.
    """
    require_tensorflow("edge-rnn sweep")
    require_optuna()
    check_tools(spec.cost, f"{spec.path}: [sweep] cost")
    _check_conversions(spec)
    folder = _folder(out)
    plan = plan_of(spec)
    with join_workers(folder) as worker:
        trials = Trials(spec, worker.scratch)
        for note in trials.check_data({key: item.ends[0] for key, item in spec.search.items()}):
            progress(f"Note: {note}")
        study = open_study(plan, worker, storage)

        def show(trial: Any) -> None:
            problem = trial.user_attrs.get(PROBLEM)
            failed = f"trial {trial.number} failed: {problem}"
            progress(failed if problem is not None else str(point_of(trial, spec)))

        with storage_errors(storage):
            run_trials(study, plan, worker, trials, show)
            report = report_of(study, spec, plan.directions)
        write_report(report, folder)
        return report


def choose(spec: SweepSpec, out: str | Path, number: int, *, storage: str | None = None) -> ChosenModel:
    """Make the model of a complete trial in the folder `out` and measure it on the test split.

    Raises what `choose_trial` and `run_sweep` raise.
    """
    require_tensorflow("edge-rnn sweep")
    folder = _folder(out)
    with join_workers(folder) as worker:
        study = open_study(plan_of(spec), worker, storage, create=False)
        with storage_errors(storage):
            return choose_trial(study, spec, number, folder, worker.scratch)


def plan_of(spec: SweepSpec) -> StudyPlan:
    """What Optuna has to do for a spec."""
    costs = 1 if spec.cost == "size" else 2
    return StudyPlan(
        name=spec.name,
        space=spec.search,
        directions=("maximize", *["minimize"] * costs),
        trials=spec.trials,
        seed=spec.seed,
        sampler=spec.sampler,
        fingerprint=spec.fingerprint,
    )


def _folder(out: str | Path) -> Path:
    folder = Path(out).resolve()
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{out}: is a file. --out names the folder of the sweep.")
    return folder


def _check_conversions(spec: SweepSpec) -> None:
    """Ask the converter about precisions and target, which it refuses before it opens a model.

    Raises InputError with its sentence.
    """
    if "all" in spec.precisions:
        raise InputError(f"{spec.path}: all stands for several precisions. List them in [search].")
    with tempfile.TemporaryDirectory() as name:
        for precision in spec.precisions:
            options = ["--precision", precision, "--target", spec.target]
            said = str(run_module("edge_runtime", "convert", str(Path(name, "none")), *options))
            said = said.removeprefix("Error: ")
            if said.startswith(("--precision: ", "--target: ")):
                raise InputError(f"{spec.path}: {said}")
