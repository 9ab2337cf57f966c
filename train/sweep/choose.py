"""The look at the test split: for one chosen trial, counted and recorded in the study."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from edge_runtime.errors import DataError, InputError
from edge_runtime.host.child_process import run_module
from edge_runtime.runs.run_directory import Run
from train.sweep.report import Point, point_of
from train.sweep.spec import SweepSpec
from train.sweep.train_command import convert_arguments, train_arguments
from train.sweep.trial import Accuracy, accuracy_of

LOOK = "test look "
"""How the names of the study's user attributes begin that record a look."""


@dataclass(frozen=True)
class ChosenModel:
    """The chosen trial, trained again as its commands say, and measured on the test split."""

    point: Point
    run: Path
    model: Path
    validation: Accuracy
    """Of the file that was made now, on the validation windows that the run keeps."""
    test: Accuracy
    looks: tuple[int, ...]
    """The trials for which the test split has been looked at, in the order of time; this one is the
    last."""

    def __str__(self) -> str:
        """The result in lines."""
        lines = [
            f"{self.model}: trial {self.point.trial}, accuracy on the test split "
            f"{100 * self.test.fraction:.2f} % of {self.test.windows:,} windows, on the validation "
            f"split {100 * self.validation.fraction:.2f} %"
        ]
        lines += [
            f"  {name}: {100 * right / windows:.2f} % of {windows:,} test windows"
            for name, (windows, right) in sorted(
                self.test.groups.items(), key=lambda item: item[1][1] / item[1][0]
            )
        ]
        if len(set(self.looks)) > 1:
            trials = ", ".join(map(str, self.looks))
            lines.append(
                f"The test split of this sweep has been looked at {len(self.looks)} times (trials "
                f"{trials}). The best of several looks is optimistic. Report the first, or test on new "
                "recordings."
            )
        return "\n".join(lines)


def choose_trial(study: Any, spec: SweepSpec, number: int, folder: Path, scratch: Path) -> ChosenModel:
    """Make the model of a trial with its own commands in `folder`, and measure it on the test split.

    The look is recorded in the study before it is made. A model that was chosen before is not made
    again. Raises InputError for a trial that is not complete, DataError when a command fails.
    """
    point = _chosen_point(study, spec, number)
    chosen = spec.configuration(point.values)
    run, model = folder / f"trial-{number}", folder / f"trial-{number}.tflite"
    if not run.exists():
        _call([*train_arguments(spec, chosen, str(run)), "--quiet"])
    if not model.exists():
        _call(convert_arguments(spec, chosen, str(run), str(model)))
    opened = Run.open(run)
    validation = opened.validation_windows()
    if validation is None:
        raise DataError(f"{run}: keeps no validation windows. Delete it, so that it is trained again.")
    time = datetime.now(timezone.utc).isoformat(timespec="microseconds")
    study.set_user_attr(f"{LOOK}{time}", number)
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        return ChosenModel(
            point,
            run,
            model,
            accuracy_of(model, validation, Path(name)),
            accuracy_of(model, opened.test_windows(), Path(name)),
            looks_at_test(study),
        )


def looks_at_test(study: Any) -> tuple[int, ...]:
    """The trials for which the test split has been looked at, in the order of time."""
    attributes = study.user_attrs
    return tuple(attributes[key] for key in sorted(attributes) if key.startswith(LOOK))


def _chosen_point(study: Any, spec: SweepSpec, number: int) -> Point:
    trials = study.get_trials(deepcopy=False)
    complete = [trial for trial in trials if trial.state.name == "COMPLETE"]
    for trial in complete:
        if trial.number == number:
            return point_of(trial, spec)
    known = ", ".join(str(trial.number) for trial in complete) or "none yet"
    raise InputError(f"--choose: trial {number} is not complete. Complete trials: {known}.")


def _call(arguments: list[str]) -> None:
    ending = run_module("edge_runtime", *arguments)
    if not ending:
        said = str(ending).removeprefix("Error: ")
        raise DataError(f"edge-rnn {arguments[0]} of the chosen trial failed: {said}")
