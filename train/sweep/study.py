"""The study of a sweep: Optuna's storage, and the loop over trials that several processes share.

A trial counts when it is complete, or when it failed with a sentence (PROBLEM) that its configuration
caused. What an interrupted process leaves behind fails without one, does not count, and another trial
takes its place. In a file, the dead are told by their locks (liveness), in a database by Optuna's
heartbeat.
"""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Callable

from edge_runtime.errors import DataError, EdgeRnnError, reason
from edge_runtime.host.optional_packages import needs_extra
from train.sweep.liveness import Worker
from train.sweep.sampler import SLOT, trial_sampler
from train.sweep.search_space import SearchSpace

JOURNAL = "study.journal"
PROCESS, PROBLEM, TRIAL_SETTINGS, FINGERPRINT = "worker", "problem", "values", "spec"
"""User attributes: of a trial, the name of its process, why it failed and its settings; of the study,
what it searches."""

POLL_SECONDS = 1.0
HEARTBEAT_SECONDS, SILENCE_SECONDS = 10, 60
"""In a database: a running trial says so this often, and counts as dead after this silence."""
STORAGE_PACKAGES = ("optuna", "psycopg", "sqlalchemy")

CLAIM_SECONDS = 60
"""In a file: a trial without a worker is one whose process died between two lines of the journal."""


@dataclass(frozen=True)
class StudyPlan:
    """What is searched for, and how often."""

    name: str
    space: SearchSpace
    directions: tuple[str, ...]
    """maximize or minimize, for each value of a trial."""
    trials: int
    seed: int
    sampler: str
    fingerprint: str


@dataclass(frozen=True)
class Measured:
    """What a trial gives back."""

    values: tuple[float, ...]
    """In the order of StudyPlan.directions."""
    attributes: dict[str, Any]
    """Further results, as JSON takes them."""


class _TrialEndedError(Exception):
    """Ends a trial, not the sweep."""


def require_optuna() -> Any:
    """Optuna, without its messages. Raises MissingExtraError without it."""
    with needs_extra("sweep", "optuna", "edge-rnn sweep"):
        import optuna
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    return optuna


def open_study(
    plan: StudyPlan,
    worker: Worker,
    storage: str | None = None,
    *,
    create: bool = True,
    heartbeat: int = HEARTBEAT_SECONDS,
    grace: int = SILENCE_SECONDS,
) -> Any:
    """The study of the plan: an optuna.Study.

    - `storage`: a database URL; None: the file JOURNAL beside the workers' folder.
    - `create`: make the study if it does not exist.
    - `heartbeat`, `grace`: seconds (HEARTBEAT_SECONDS).

    Raises DataError for a database that cannot be used, for a study of another search and for one that
    does not exist, MissingExtraError without a package.
    """
    optuna = require_optuna()
    folder = worker.folder.parent
    where = str(folder) if storage is None else shown_url(storage)
    absent = DataError(f"{where}: holds no sweep named {plan.name}. Run 'edge-rnn sweep' first.")
    if storage is None and not create and not (folder / JOURNAL).is_file():
        raise absent
    with storage_errors(storage, (OSError, ValueError)):
        kept = _journal(folder) if storage is None else _database(storage, heartbeat, grace)
        sampler = trial_sampler(plan.sampler, plan.seed, _claimer(worker))
        if create:
            study = optuna.create_study(
                storage=kept,
                study_name=plan.name,
                directions=list(plan.directions),
                sampler=sampler,
                load_if_exists=True,
            )
        else:
            try:
                study = optuna.load_study(storage=kept, study_name=plan.name, sampler=sampler)
            except KeyError:
                raise absent from None
        known = study.user_attrs.get(FINGERPRINT)
        if known is None:
            study.set_user_attr(FINGERPRINT, plan.fingerprint)
        elif known != plan.fingerprint:
            raise DataError(
                f"{where}: holds another sweep named {plan.name}, whose settings differ. Choose another "
                f"{'--out' if storage is None else '[sweep] name'}."
            )
    return study


def _journal(folder: Path) -> Any:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    path = str(folder / JOURNAL)
    return JournalStorage(JournalFileBackend(path, lock_obj=JournalFileOpenLock(path)))


def _database(url: str, heartbeat: int, grace: int) -> Any:
    with needs_extra("sweep", "sqlalchemy", "--storage"):
        import sqlalchemy
    from optuna.storages import RDBStorage

    try:
        parsed = sqlalchemy.make_url(url)
    except sqlalchemy.exc.ArgumentError:
        raise DataError("--storage: not a database URL. Expected postgresql://USER@HOST/NAME.") from None
    if parsed.drivername == "postgresql":  # SQLAlchemy would take psycopg2
        parsed = parsed.set(drivername="postgresql+psycopg")
    # Without it, psycopg gives bytes for the texts of a database whose encoding is SQL_ASCII.
    utf8 = parsed.drivername.endswith("psycopg")
    return RDBStorage(
        parsed.render_as_string(hide_password=False),
        engine_kwargs={"connect_args": {"client_encoding": "utf8"}} if utf8 else None,
        heartbeat_interval=heartbeat,
        grace_period=grace,
    )


def shown_url(url: str) -> str:
    """The URL without its password."""
    import sqlalchemy

    try:
        return sqlalchemy.make_url(url).render_as_string(hide_password=True)
    except sqlalchemy.exc.ArgumentError:
        return "--storage"


@contextlib.contextmanager
def storage_errors(storage: str | None, damage: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Errors of the storage as a DataError that does not show the URL's password.

    `damage`: further exceptions, which mean in this block that the storage is damaged.
    """
    try:
        yield
    except EdgeRnnError:
        raise
    except ImportError:
        raise DataError(
            f"--storage: the driver of {shown_url(storage or '')} is not installed. For PostgreSQL, run "
            "pip install 'edge-rnn[sweep]'."
        ) from None
    except Exception as error:
        if type(error).__module__.split(".")[0] not in STORAGE_PACKAGES and not isinstance(
            error, damage
        ):
            raise
        if storage is None:
            raise DataError(f"--out: the study's file cannot be used ({reason(error)}).") from None
        said = reason(error)
        password = _password(storage)
        said = said.replace(password, "***") if password else said
        raise DataError(f"--storage: {shown_url(storage)} cannot be used ({said}).") from None


def _password(url: str) -> str | None:
    import sqlalchemy

    return sqlalchemy.make_url(url).password


def run_trials(
    study: Any,
    plan: StudyPlan,
    worker: Worker,
    evaluate: Callable[[Mapping[str, Any]], Measured],
    report: Callable[[Any], None],
) -> None:
    """Run trials until `plan.trials` of them count, together with other processes.

    `evaluate`: values of the plan's space -> what was measured; an EdgeRnnError or any other exception
    fails the trial. `report`: called with each of this process's own trials that counts (FrozenTrial).
    """
    while True:
        fail_dead_trials(study, worker)
        trials = study.get_trials(deepcopy=False)
        counted = [trial for trial in trials if counts(trial)]
        if len(counted) >= plan.trials:
            return
        running = [trial for trial in trials if trial.state.name == "RUNNING"]
        if len(counted) + len(running) >= plan.trials:
            time.sleep(POLL_SECONDS)  # the others may yet die
            continue
        before = {trial.number for trial in trials}
        study.optimize(_objective(study, plan, evaluate), n_trials=1, catch=(_TrialEndedError,))
        for trial in study.get_trials(deepcopy=False):
            own = trial.user_attrs.get(PROCESS) == worker.name
            if own and trial.number not in before and counts(trial):
                report(trial)


def counts(trial: Any) -> bool:
    """Whether the trial (FrozenTrial) is one of those that a sweep is asked for."""
    return trial.state.name == "COMPLETE" or (trial.state.name == "FAIL" and PROBLEM in trial.user_attrs)


def _objective(
    study: Any, plan: StudyPlan, evaluate: Callable[[Mapping[str, Any]], Measured]
) -> Callable[[Any], tuple[float, ...]]:
    def objective(trial: Any) -> tuple[float, ...]:
        # Not the trial's own copy, which was made before the sampler claimed a slot.
        slot = study._storage.get_trial(trial._trial_id).user_attrs[SLOT]
        if slot >= plan.trials:  # others took the last slots at the same moment
            raise _TrialEndedError
        values = {key: item.suggest(trial, key) for key, item in plan.space.items()}
        trial.set_user_attr(TRIAL_SETTINGS, values)
        earlier = _same(study, trial.number, values)
        try:
            measured = evaluate(values) if earlier is None else earlier
        except Exception as error:  # also TensorFlow's: out of memory, for instance
            problem = str(error) if isinstance(error, EdgeRnnError) else reason(error)
            trial.set_user_attr(PROBLEM, problem)
            raise _TrialEndedError from None
        for key, value in measured.attributes.items():
            trial.set_user_attr(key, value)
        return measured.values

    return objective


def _same(study: Any, number: int, values: dict[str, Any]) -> Measured | None:
    """The results of an earlier trial with these values: training is deterministic."""
    for trial in study.get_trials(deepcopy=False):
        if trial.state.name == "COMPLETE" and trial.user_attrs.get(TRIAL_SETTINGS) == values:
            kept = {
                key: value
                for key, value in trial.user_attrs.items()
                if key not in (SLOT, PROCESS, TRIAL_SETTINGS)
            }
            return Measured(tuple(trial.values), {"same_as": trial.number, **kept})
    return None


def _claimer(worker: Worker) -> Callable[[Any, Any], int]:
    """A function of a study and a new trial that gives the trial a slot which no other trial has.

    Two trials that begin at the same moment see each other without a slot: each leaves as many free
    ones to those before it.
    """

    def claim(study: Any, trial: Any) -> int:
        others = [
            other
            for other in study.get_trials(deepcopy=False)
            if other.number != trial.number and (counts(other) or other.state.name == "RUNNING")
        ]
        taken = {other.user_attrs.get(SLOT) for other in others}
        waiting = sum(other.number < trial.number and SLOT not in other.user_attrs for other in others)
        free = (slot for slot in range(len(others) + 1 + waiting) if slot not in taken)
        slot = [next(free) for _ in range(waiting + 1)][-1]
        # The public way to a trial's attributes is the Trial, which Optuna makes afterwards.
        record_heartbeat = getattr(study._storage, "record_heartbeat", None)
        if record_heartbeat is not None:  # in a database; a trial without one would never count as lost
            record_heartbeat(trial._trial_id)
        study._storage.set_trial_user_attr(trial._trial_id, SLOT, slot)
        study._storage.set_trial_user_attr(trial._trial_id, PROCESS, worker.name)
        return slot

    return claim


def fail_dead_trials(study: Any, worker: Worker) -> None:
    """Fail the running trials of dead processes, without a PROBLEM, so that they do not count."""
    import optuna

    optuna.storages.fail_stale_trials(study)  # in a database
    if not isinstance(study._storage, optuna.storages.JournalStorage):
        return
    for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
        owner = trial.user_attrs.get(PROCESS)
        late = datetime.now() - trial.datetime_start > timedelta(seconds=CLAIM_SECONDS)
        if worker.lives(owner) if owner else not late:
            continue
        with contextlib.suppress(optuna.exceptions.UpdateFinishedTrialError):
            study._storage.set_trial_state_values(trial._trial_id, optuna.trial.TrialState.FAIL)
