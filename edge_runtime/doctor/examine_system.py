"""Examines another system from recorded facts: `edge-rnn doctor --for`."""

from __future__ import annotations

from edge_runtime.doctor.diagnosis import FALLBACK, Diagnosis, Fact, Finding
from edge_runtime.doctor.model_facts import ModelFacts, read_model_facts
from edge_runtime.doctor.model_findings import gains, loads, refusal, without_xnnpack
from edge_runtime.doctor.packages.installation import (
    OLDEST_PYTHON,
    Installation,
    Requirement,
    available_engines,
    installation,
    real_need,
    why_not,
)
from edge_runtime.doctor.packages.pip import OWN_WHEEL, Pip
from edge_runtime.doctor.packages.remedies import IMAGER, Remedies
from edge_runtime.doctor.packages.wheels import Release, date
from edge_runtime.doctor.system import System, parse_system
from edge_runtime.doctor.trial import SECONDS
from edge_runtime.engines.engine import AUTO, ENGINES, NUMPY, check_engine_name
from edge_runtime.errors import EngineError


def examine_system(text: str, model: str | None = None, *, engine: str = AUTO) -> Diagnosis:
    """Which engine could run edge-rnn, and the file `model`, on the system that `text` names.

    Nothing is tried: the answer comes from recorded facts about the wheels on PyPI.

    Args:
        text: pythonX.Y-ARCHITECTURE-glibcA.B or -muslA.B, or a name such as raspios-bookworm-64.
        model: A model file that the engine should load.
        engine: Consider only this engine.

    Raises:
        InputError: `text` does not name a system.
        EngineError: Unknown engine.
        ModelError: The file is not a model of edge-rnn, or is damaged.
    """
    check_engine_name(engine)
    system = parse_system(text)
    content = read_model_facts(model, seconds=SECONDS) if model is not None else None
    if model is not None and content is None:
        raise EngineError(
            f"{model}: cannot be read, because numpy cannot be imported on this machine. "
            "Run edge-rnn doctor."
        )
    engines = [item for item in _engines(system) if engine in (AUTO, item.package)]
    usable = [item for item in engines if content is None or loads(item, content)]
    remedies = Remedies(Pip(system))
    return Diagnosis(
        facts=(
            Fact("system", str(system), str(system)),
            Fact("wheels", f"those on PyPI on {date()}", date()),
            Fact.of(f"pip install {OWN_WHEEL}", installation(system)),
            *_engine_facts(system, engines),
            *([Fact.of("model", content)] if content else []),
        ),
        findings=tuple(_findings(remedies, engine, engines, content)),
        verdict=_verdict(system, usable, engine, model),
        works=bool(usable) or (engine == NUMPY and system.python >= OLDEST_PYTHON),
    )


def _engines(system: System) -> list[Release]:
    """Engines with a wheel for the system; the one that pip chooses by itself comes first."""
    if system.python < OLDEST_PYTHON:
        return []
    asked = installation(system).engine
    return sorted(available_engines(system), key=lambda item: item != asked)


def _engine_facts(system: System, engines: list[Release]) -> list[Fact]:
    found = []
    for package in ENGINES:
        release = next((item for item in engines if item.package == package), None)
        if release:
            tag = release.wheel_for(system)
            record = {"version": release.version, "wheel": tag}
            found.append(Fact(package, f"{release.version} ({tag})", record))
        else:
            why = why_not(package, system)
            found.append(Fact(package, why, {"version": None, "why": why}))
    return found


def _findings(
    remedies: Remedies, engine: str, engines: list[Release], content: ModelFacts | None
) -> list[Finding]:
    system, plan = remedies.system, installation(remedies.system)
    if system.python < OLDEST_PYTHON:
        return [Finding(f"{system}: edge-rnn needs Python 3.9 or newer", remedies.with_other_python())]
    findings = [_no_engine(remedies, plan, engines)] if engine != NUMPY else []
    if plan.numpy is None and (plan.engine or engine == NUMPY):
        findings.append(_no_numpy(remedies, engine))
    for release in engines[:1]:
        if system.architecture not in release.xnnpack and gains(release.package, content):
            findings.append(without_xnnpack(str(release), release.package, remedies))
        if content:
            findings.append(refusal(release.package, release.version, content, remedies))
    return [finding for finding in findings if finding]


def _no_engine(remedies: Remedies, plan: Installation, engines: list[Release]) -> Finding | None:
    """The finding that no engine runs on the system, or not the one that edge-rnn's wheel requires."""
    requirement, system = plan.requirement, remedies.system
    if plan.engine and plan.engine.runs_on(system):
        return None
    if engines:
        if plan.engine:
            problem = f"pip installs {plan.engine}, which {real_need(plan.engine, system)}"
        else:
            why = why_not(requirement.package, system, requirement)
            problem = f"pip finds no {requirement.text}: {why}"
        return Finding(problem, (_with_engine(remedies, engines[0], requirement),))
    imager = (IMAGER,) if remedies.system.architecture == "armv7l" else ()
    commands = (*remedies.with_other_python(), _with_numpy(remedies), *imager)
    return Finding(f"no TFLite engine is made for {system}", commands)


def _with_engine(remedies: Remedies, engine: Release, requirement: Requirement) -> str:
    """The command that installs edge-rnn with another engine than pip would choose."""
    if requirement.package == engine.package and requirement.allows(engine):
        return remedies.pip.install(OWN_WHEEL, engine.pinned)
    return remedies.pip.install_bare("click", engine.pinned, engine.numpy)


def _no_numpy(remedies: Remedies, engine: str) -> Finding:
    command = _with_numpy(remedies) if engine == NUMPY else remedies.pip.install(OWN_WHEEL)
    where = (
        "piwheels has"
        if remedies.pip.takes_piwheels
        else "pip compiles it, for an hour on a small device"
    )
    return Finding(f"PyPI has no wheel of numpy for {remedies.system}; {where}", (command,))


def _with_numpy(remedies: Remedies) -> str:
    return f"{remedies.pip.install_bare('click', 'numpy')} && {FALLBACK}"


def _verdict(system: System, usable: list[Release], engine: str, model: str | None) -> str:
    if system.python < OLDEST_PYTHON:
        return "edge-rnn does not run on that system"
    if usable:
        return f"{model or 'edge-rnn'} works on that system with {usable[0]}"
    if engine == NUMPY:
        return f"{FALLBACK} works on that system, slowly"
    which = "a TFLite engine" if engine == AUTO else engine
    return f"{model or 'edge-rnn'} does not work on that system with {which}; {FALLBACK} does, slowly"
