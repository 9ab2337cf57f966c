"""Cross-validation: as many models as folds, each tested on the fold that it was not trained on.

OUT/fold-1, fold-2, ...   the runs, each as `edge-rnn train` writes it, with its evaluation
OUT/folds.json            the figures (fold_results)
OUT/folds.png             the same as a picture

The folder appears whole. Until then OUT.folds holds the folds that are complete, and the checkpoint of
the one that is in training.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edge_runtime.errors import DataError, InputError
from edge_runtime.host.atomic_file import move_into_place, replacing
from edge_runtime.runs.run_directory import RECORD, SETTINGS_FILE, Run
from train.dataset import Dataset
from train.datasets.load import load_folds
from train.evaluation.evaluate import Evaluation, evaluate_run, write_json
from train.evaluation.evaluation_picture import plot_folds
from train.evaluation.fold_results import FOLDS, FOLDS_PICTURE, CrossValidation, Fold
from train.evaluation.metrics import measure_logits
from train.fitting.checkpoint import DivergedError
from train.fitting.fit import require_tensorflow, train_run
from train.hyperparameters import Hyperparameters
from train.settings import (
    TrainingSettings,
    config_text,
    hyperparameters_config,
    read_config,
    settings_keys,
)


def cross_validate_named(
    settings: TrainingSettings | None, folds: int, out: str | Path, **ways: Any
) -> CrossValidation:
    """Cross-validate with settings that name the data set; see `load_folds` and `cross_validate`.

    `settings`: None continues with those that the interrupted cross-validation of `out` began with.
    `ways`: the options of `cross_validate` by name. Raises what both raise.
    """
    if folds < 2:
        raise InputError(f"--folds: expected at least 2, found {folds}.")
    _check_free(Path(out).resolve(), bool(ways.get("overwrite")))
    require_tensorflow("edge-rnn train --folds")
    settings = settings or _begun(Path(out).resolve())
    datasets = load_folds(settings.data, folds, settings.data_dir, settings.options)
    config = settings.to_config()
    return cross_validate(datasets, out, settings.hyperparameters, config=config, **ways)


def cross_validate(
    datasets: Sequence[Dataset],
    out: str | Path,
    hyperparameters: Hyperparameters | None = None,
    *,
    quiet: bool = False,
    overwrite: bool = False,
    resume: bool = False,
    tensorboard: str | Path | None = None,
    config: Mapping[str, Any] | None = None,
) -> CrossValidation:
    """Train and test one model for each data set, which has its own fold as test split.

        from train import cross_validate, load_folds

        print(cross_validate(load_folds("activity.npz", 5), "runs/activity-folds"))

    - `datasets`: what `load_folds` returns.
    - `out`: the folder to write. It appears whole, when every fold has been trained.
    - `hyperparameters`, `quiet`, `tensorboard`, `config`: as in `train_run`, for each fold.
    - `overwrite`: replace an earlier cross-validation at `out`, and nothing else. Default: False.
    - `resume`: continue an interrupted cross-validation. Complete folds are kept. Default: False.

    The test split of a fold chooses nothing in its model. Raises what `train_run` raises, and DataError
    when `out` is taken.
    """
    target = Path(out).resolve()
    _check_free(target, overwrite)
    chosen = hyperparameters or Hyperparameters()
    settings = config_text({**(config or {}), **hyperparameters_config(chosen)})
    with _folder(target, settings, overwrite=overwrite, resume=resume) as folder:
        evaluations = []
        for number, dataset in enumerate(datasets, 1):
            name = f"fold-{number}"
            if not _is_complete(folder / name, dataset):
                print(f"{name} of {len(datasets)}", flush=True)
                train_run(
                    dataset if number == 1 else replace(dataset, notes=()),  # say them once
                    folder / name,
                    chosen,
                    quiet=quiet,
                    resume=resume,
                    tensorboard=None if tensorboard is None else Path(tensorboard) / name,
                    config=config,
                )
            evaluations.append(evaluate_run(folder / name))
        result = _result(Path(out), datasets, evaluations)
        write_json(result.to_json(), folder / FOLDS)
        plot_folds(result, folder / FOLDS_PICTURE)
        for left in folder.glob("fold-*.training"):  # of a process that was killed while it deleted it
            shutil.rmtree(left)
        move_into_place(folder, target)
    return result


def _result(
    out: Path, datasets: Sequence[Dataset], evaluations: Sequence[Evaluation]
) -> CrossValidation:
    tests = [dataset.test for dataset in datasets]
    groups = [test.groups for test in tests if test.groups is not None]
    pooled = measure_logits(
        np.concatenate([evaluation.split_logits for evaluation in evaluations]),
        np.concatenate([test.y for test in tests]),
        datasets[0].labels,
        np.concatenate(groups) if len(groups) == len(tests) else None,
    )
    folds = [Fold(f"fold-{k}", evaluation.metrics) for k, evaluation in enumerate(evaluations, 1)]
    return CrossValidation(out, datasets[0].name, tuple(folds), pooled, datasets[0].notes)


def _folds_folder(target: Path) -> Path:
    return target.with_name(f"{target.name}.folds")


def _begun(target: Path) -> TrainingSettings:
    """The settings of the interrupted cross-validation."""
    config = _folds_folder(target) / SETTINGS_FILE
    if not config.is_file():
        raise DataError(
            f"{target}: no cross-validation to continue, as {config.parent} does not exist. Leave out "
            "--resume."
        )
    return TrainingSettings.from_config(read_config(config, settings_keys()))


@contextlib.contextmanager
def _folder(target: Path, settings: str, *, overwrite: bool, resume: bool) -> Iterator[Path]:
    """OUT.folds, in which the folds are trained. After an error it stays if a fold can be continued."""
    folder = _folds_folder(target)
    written = folder / SETTINGS_FILE
    begun = written.is_file()
    half = f".{SETTINGS_FILE}."  # what a process leaves that was killed while it wrote the file
    if folder.exists() and not begun and not all(p.name.startswith(half) for p in folder.iterdir()):
        raise DataError(f"{folder}: exists and holds no cross-validation. Choose another --out.")
    if begun and not resume:
        if not overwrite:
            raise DataError(
                f"{folder}: holds an interrupted cross-validation. Continue it with --resume, or pass "
                "--overwrite."
            )
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if written.is_file() and written.read_text("utf-8") != settings:
        raise DataError(
            f"{folder}: was begun with other settings. Give those in {written.name} there, or pass "
            "--overwrite in place of --resume."
        )
    with replacing(written) as temporary:
        temporary.write_text(settings, "utf-8")
    try:
        yield folder
    except BaseException as error:
        if isinstance(error, DivergedError) or not any(folder.glob("fold-*")):
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _is_complete(run: Path, dataset: Dataset) -> bool:
    """Whether this fold was trained before. Raises DataError if it was, with other data."""
    if not (run / RECORD).is_file():
        return False
    if Run.open(run).record.dataset["digest"] != dataset.digest:
        raise DataError(f"{run}: was trained with other data. Pass --overwrite in place of --resume.")
    return True


def _check_free(target: Path, overwrite: bool) -> None:
    """Raises DataError when `target` is no cross-validation, or is one that may not be overwritten."""
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    if not (target / FOLDS).is_file():
        raise DataError(f"{target}: exists and is not a cross-validation. Choose another --out.")
    if not overwrite:
        raise DataError(
            f"{target}: already holds a cross-validation. Choose another --out, or pass --overwrite."
        )
