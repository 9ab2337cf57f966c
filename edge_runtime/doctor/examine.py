"""Examines this machine: `edge-rnn doctor` without --for."""

from __future__ import annotations

from edge_runtime.doctor.causes import cause
from edge_runtime.doctor.diagnosis import Diagnosis, Fact, Finding, fallback
from edge_runtime.doctor.machine import this_machine
from edge_runtime.doctor.model_facts import ModelFacts, read_model_facts
from edge_runtime.doctor.model_findings import gains, refusal, without_xnnpack
from edge_runtime.doctor.packages.installation import available_engines
from edge_runtime.doctor.packages.pip import Pip
from edge_runtime.doctor.packages.remedies import IMAGER, Remedies
from edge_runtime.doctor.python_facts import PythonFacts, this_python
from edge_runtime.doctor.trial import LONGEST_TIMEOUT, SECONDS, Trial, installed_version, try_engine
from edge_runtime.engines.engine import (
    AUTO,
    ENGINES,
    NATIVE,
    NUMPY,
    check_engine_name,
    installed_engines,
)
from edge_runtime.errors import InputError


def examine(model: str | None = None, *, engine: str = AUTO, seconds: float = SECONDS) -> Diagnosis:
    """Whether edge-rnn and the file `model` work on this machine, and what fixes it if not.

    Args:
        model: A model file to run in every engine as well.
        engine: Try only this engine, instead of native and all TFLite engines that are installed.
        seconds: Time after which a child process counts as hanging.

    Raises:
        EngineError: Unknown engine.
        InputError: `seconds` is not above 0.
        ModelError: The file is not a model of edge-rnn, or is damaged.
    """
    if not 0 < seconds <= LONGEST_TIMEOUT:
        raise InputError(
            f"--timeout: expected more than 0 seconds, at most {LONGEST_TIMEOUT:,}, found {seconds}."
        )
    check_engine_name(engine)
    python = this_python()
    content = read_model_facts(model, seconds=seconds) if model is not None else None
    trials = _trials(engine, model, seconds)
    asked = [trial for trial in trials if _is_asked(trial, engine)]
    working = tuple(trial.engine for trial in asked if trial)
    remedies = Remedies(Pip.of(python), working)
    findings = [
        *_missing(engine, remedies, trials),
        *(_finding(trial, content, remedies) for trial in asked if _counts(trial, asked)),
        *_slow(asked, content, remedies),
        *_narrow(python, trials),
    ]
    return Diagnosis(
        facts=(
            Fact.of("machine", this_machine()),
            Fact.of("python", python),
            *_facts(trials, model, content),
        ),
        findings=_distinct(findings),
        verdict=_verdict(engine, trials, model),
        works=bool(working),
    )


def _distinct(findings: list[Finding]) -> tuple[Finding, ...]:
    """The first finding of each problem: what is wrong with numpy shows in every engine."""
    first: dict[str, Finding] = {}
    for finding in findings:
        first.setdefault(finding.problem, finding)
    return tuple(first.values())


def _is_asked(trial: Trial, engine: str) -> bool:
    return trial.engine == engine or (engine == AUTO and trial.engine != NUMPY)


def _trials(engine: str, model: str | None, seconds: float) -> list[Trial]:
    """Trials of the engine, or for AUTO of native and all installed ones.

    If none of them works, trials of native and numpy follow, up to the first that works.
    """
    installed = (NATIVE, *installed_engines())
    names = installed if engine == AUTO else [name for name in (*installed, NUMPY) if name == engine]
    trials = [try_engine(name, model, seconds=seconds) for name in names]
    for name in (NATIVE, NUMPY):
        if not any(trials) and name not in names:
            trials.append(try_engine(name, model, seconds=seconds))
    return trials


def _facts(trials: list[Trial], model: str | None, content: ModelFacts | None) -> list[Fact]:
    found = [_numpy_fact(trials)]
    for name in (NATIVE, *ENGINES):
        trial = next((item for item in trials if item.engine == name), None)
        if trial is not None:
            found.append(Fact.of(name, trial))
        elif name not in (NATIVE, *installed_engines()):
            found.append(Fact(name, "not installed", None))
    if content:
        found.append(Fact.of("model", content))
    if model is not None:
        found += [
            Fact(f"model in {trial.engine}", trial.model_outcome, trial.model)
            for trial in trials
            if trial.computes
        ]
    return found


def _numpy_fact(trials: list[Trial]) -> Fact:
    version = installed_version(NUMPY)
    if version and not any(trial.numpy for trial in trials):
        return Fact(NUMPY, f"{version}, cannot be imported", version)
    return Fact(NUMPY, version or "not installed", version)


def _missing(engine: str, remedies: Remedies, trials: list[Trial]) -> list[Finding]:
    """The finding that the engine, or every TFLite engine where native does not work, is missing."""
    if engine in ENGINES and engine not in installed_engines():
        release = next(
            (item for item in available_engines(remedies.system) if item.package == engine), None
        )
        if release:
            return [Finding(f"{engine} is not installed", (remedies.install(release),))]
        return [Finding(f"{engine} is not made for {remedies.system}", remedies.install_any())]
    if engine == AUTO and not installed_engines() and not trials[0]:
        if available_engines(remedies.system) or not remedies.system.libc:
            return [Finding("no TFLite engine is installed", remedies.install_any())]
        return [Finding(f"no TFLite engine is made for {remedies.system}", remedies.install_any())]
    return []


def _counts(trial: Trial, trials: list[Trial]) -> bool:
    """Whether a trial went wrong in a way that matters.

    It does not when only the model fails, in an engine that `auto` does not choose.
    """
    chosen = next((item for item in trials if not item.is_passed_over), None)
    return not trial and not (trial.computes and chosen)


def _finding(trial: Trial, content: ModelFacts | None, remedies: Remedies) -> Finding:
    if content and trial.computes and trial.version:
        found = refusal(trial.engine, trial.version, content, remedies)
        if found:
            return found
    return cause(trial, remedies)


def _slow(trials: list[Trial], content: ModelFacts | None, remedies: Remedies) -> list[Finding]:
    """The findings that no engine has XNNPACK although the model would be faster with it."""
    if any(trial.xnnpack or (trial and trial.engine == NATIVE) for trial in trials):
        return []
    lacking = [trial for trial in trials if trial.xnnpack is False and trial.computes]
    return [
        without_xnnpack(trial.name, trial.engine, remedies)
        for trial in lacking
        if gains(trial.engine, content)
    ]


def _narrow(python: PythonFacts, trials: list[Trial]) -> list[Finding]:
    if not python.narrow or any(trial for trial in trials if trial.engine != NUMPY):
        return []
    kernel = python.system.machine
    return [Finding(f"a 32-bit Python runs on a kernel for {kernel}", (IMAGER,))]


def _verdict(engine: str, trials: list[Trial], model: str | None) -> str:
    good = [trial for trial in trials if trial]
    what = model or "edge-rnn"
    if not good:
        return f"{what} does not work on this machine"
    if not _is_asked(good[0], engine):
        which = "native or a TFLite engine" if engine == AUTO else engine
        does = "does, slowly" if good[0].engine == NUMPY else "does"
        return f"{what} does not work on this machine with {which}; {fallback(good[0].engine)} {does}"
    taken = [trial for trial in trials if not trial.is_passed_over]
    by_itself = engine != AUTO or good[0] is taken[0]
    how = good[0].name if by_itself else f"--engine {good[0].engine} only"
    return f"{what} works on this machine with {how}"
