"""Examines this machine: `edge-rnn doctor` without --for."""

from __future__ import annotations

from edge_runtime.doctor.causes import cause
from edge_runtime.doctor.diagnosis import Diagnosis, Fact
from edge_runtime.doctor.finding import FALLBACK, Finding
from edge_runtime.doctor.installation import available_engines
from edge_runtime.doctor.interpreter import Interpreter, this_interpreter
from edge_runtime.doctor.machine import this_machine
from edge_runtime.doctor.model import ModelFacts, read_model_facts
from edge_runtime.doctor.model_findings import refusal
from edge_runtime.doctor.pip import Pip
from edge_runtime.doctor.remedies import IMAGER, Remedies
from edge_runtime.doctor.trial import SECONDS, Trial, try_engine
from edge_runtime.doctor.xnnpack import without_xnnpack
from edge_runtime.engine import ENGINES, NUMPY, choose_engine, installed_engines

AUTO = "auto"


def examine(model: str | None = None, *, engine: str = AUTO, seconds: float = SECONDS) -> Diagnosis:
    """Whether edge-rnn, and the file `model`, work on this machine, and what mends it when not.

    `engine`: try this one only, instead of all that are installed. `seconds`: after which a child process
    hangs. Raises EngineError for an unknown engine, and ModelError for a file that is no model of
    edge-rnn, or damaged.
    """
    if engine not in (AUTO, NUMPY, *ENGINES):
        choose_engine(engine)
    interpreter = this_interpreter()
    facts = read_model_facts(model, seconds=seconds) if model else None
    trials = _trials(engine, model, seconds)
    working = tuple(trial.engine for trial in trials if trial.computes and not trial.timed_out)
    remedies = Remedies(Pip.of(interpreter), tuple(name for name in working if name != NUMPY))
    findings = [
        *_missing(engine, trials, remedies),
        *(_finding(trial, facts, remedies) for trial in trials if not trial),
        *_slow(trials, remedies),
        *_narrow(interpreter, trials),
    ]
    return Diagnosis(
        facts=(
            Fact.of("machine", this_machine()),
            Fact.of("python", interpreter),
            *_facts(trials, model, facts),
        ),
        findings=tuple(dict.fromkeys(findings)),
        verdict=_verdict(engine, trials, model),
        works=any(trial and trial.engine in (engine, *ENGINES) for trial in trials),
    )


def _trials(engine: str, model: str | None, seconds: float) -> list[Trial]:
    """Of the engine, or of all that are installed and, where none of them works, of the numpy engine."""
    installed = installed_engines()
    names = installed if engine == AUTO else [name for name in (*installed, NUMPY) if name == engine]
    trials = [try_engine(name, model, seconds=seconds) for name in names]
    if not any(trials) and NUMPY not in names:
        trials.append(try_engine(NUMPY, model, seconds=seconds))
    return trials


def _facts(trials: list[Trial], model: str | None, facts: ModelFacts | None) -> list[Fact]:
    numpy = next((trial.numpy for trial in trials if trial.numpy), None)
    found = [Fact("numpy", numpy or "cannot be imported", numpy)]
    for name in ENGINES:
        trial = next((item for item in trials if item.engine == name), None)
        if trial:
            found.append(Fact.of(name, trial))
        elif name not in installed_engines():
            found.append(Fact(name, "not installed", None))
    if facts:
        found.append(Fact.of("model", facts))
    found += [
        Fact(f"model in {trial.engine}", trial.model["text"].partition("\n")[0], trial.model)
        for trial in trials
        if trial.model
    ]
    return found


def _missing(engine: str, trials: list[Trial], remedies: Remedies) -> list[Finding]:
    """That the engine, or any at all, is not installed."""
    if engine in ENGINES and engine not in installed_engines():
        release = next((item for item in available_engines(remedies.system) if item.package == engine), None)
        if release:
            return [Finding(f"{engine} is not installed", (remedies.install(release),))]
        return [Finding(f"{engine} has no wheel for {remedies.system}", remedies.install_any())]
    if engine == AUTO and not installed_engines():
        if available_engines(remedies.system):
            return [Finding("no TFLite engine is installed", remedies.install_any())]
        return [Finding(f"no TFLite engine has a wheel for {remedies.system}", remedies.install_any())]
    return []


def _finding(trial: Trial, facts: ModelFacts | None, remedies: Remedies) -> Finding:
    if facts and trial.computes and trial.version:
        found = refusal(trial.engine, trial.version, facts, remedies)
        if found:
            return found
    return cause(trial, remedies)


def _slow(trials: list[Trial], remedies: Remedies) -> list[Finding]:
    """That no engine here has XNNPACK."""
    if any(trial.xnnpack for trial in trials):
        return []
    lacking = [trial for trial in trials if trial.xnnpack is False and trial.computes]
    return [without_xnnpack(trial.name, trial.engine, remedies) for trial in lacking]


def _narrow(interpreter: Interpreter, trials: list[Trial]) -> list[Finding]:
    if not interpreter.narrow or any(trial for trial in trials if trial.engine in ENGINES):
        return []
    kernel = interpreter.system.machine
    return [Finding(f"Python is a 32-bit one, on a kernel for {kernel}", (IMAGER,))]


def _verdict(engine: str, trials: list[Trial], model: str | None) -> str:
    subject = f"{model} works here" if model else "edge-rnn works here"
    good = [trial for trial in trials if trial]
    taken = next((trial for trial in trials if trial.engine in ENGINES and trial.imports), None)
    if not good:
        what = model or "edge-rnn"
        return f"{what} does not work here"
    if good[0].engine == NUMPY and engine != NUMPY:
        return f"no TFLite engine {'runs ' + model if model else 'works'} here; {FALLBACK} does, slowly"
    if engine == AUTO and good[0] is not taken:
        return f"{subject} with --engine {good[0].engine} only"
    return f"{subject} with {good[0].name}"
