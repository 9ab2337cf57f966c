"""Examines another system from recorded facts: `edge-rnn doctor --for`."""

from __future__ import annotations

from edge_runtime.doctor.diagnosis import FALLBACK, Diagnosis, Fact, Finding, fallback
from edge_runtime.doctor.model_facts import ModelFacts, read_model_facts
from edge_runtime.doctor.model_findings import gains, loads, refusal, without_xnnpack
from edge_runtime.doctor.packages.installation import (
    OLDEST_PYTHON,
    Installation,
    available_engines,
    installation,
    why_not,
)
from edge_runtime.doctor.packages.own_wheel import own_wheel
from edge_runtime.doctor.packages.pip import OWN_SOURCE, OWN_WHEEL, Pip
from edge_runtime.doctor.packages.remedies import Remedies
from edge_runtime.doctor.packages.wheels import Release, date
from edge_runtime.doctor.system import System, parse_system
from edge_runtime.doctor.trial import SECONDS
from edge_runtime.engines.engine import (
    AUTO,
    ENGINES,
    NATIVE,
    NUMPY,
    OWN_ENGINES,
    check_engine_name,
    engine_version,
)
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
    native = engine in (AUTO, NATIVE) and system.python >= OLDEST_PYTHON and own_wheel(system)
    engines = [item for item in _engines(system) if engine in (AUTO, item.package)]
    usable = [f"{NATIVE} {engine_version(NATIVE)}"] if native else []
    usable += [str(item) for item in engines if content is None or loads(item, content)]
    findings = _findings(Remedies(Pip(system)), engine, engines, content)
    return Diagnosis(
        facts=(
            Fact("system", str(system), str(system)),
            Fact("wheels", f"those on PyPI on {date()}", date()),
            Fact.of(f"pip install {OWN_WHEEL}", installation(system)),
            _native_fact(system),
            *_engine_facts(system),
            *([Fact.of("model", content)] if content else []),
        ),
        findings=tuple(findings),
        verdict=_verdict(system, usable, engine, model),
        works=bool(usable) or (engine == NUMPY and system.python >= OLDEST_PYTHON),
    )


def _engines(system: System) -> list[Release]:
    """TFLite engines with a wheel for the system; the one that pip chooses by itself comes first."""
    if system.python < OLDEST_PYTHON:
        return []
    asked = installation(system).engine
    return sorted(available_engines(system), key=lambda item: item != asked)


def _native_fact(system: System) -> Fact:
    version, platform = engine_version(NATIVE), own_wheel(system)
    if platform is None:
        why = "no wheel has its library, which pip compiles where a C compiler is installed"
        return Fact(NATIVE, why, {"version": None, "why": why})
    return Fact(NATIVE, f"{version} ({platform})", {"version": version, "wheel": platform})


def _engine_facts(system: System) -> list[Fact]:
    found, engines = [], _engines(system)
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
    native = engine in (AUTO, NATIVE) and own_wheel(system) is not None
    findings = [_not_installed(remedies, plan, engine), _no_library(remedies, engine)]
    if plan.numpy is None and not any(findings):
        findings.append(_no_numpy(remedies))
    for release in engines[:1] if not native else ():
        if system.architecture not in release.xnnpack and gains(release.package, content):
            findings.append(without_xnnpack(str(release), release.package, remedies))
        if content:
            findings.append(refusal(release.package, release.version, content, remedies))
    return [finding for finding in findings if finding]


def _not_installed(remedies: Remedies, plan: Installation, engine: str) -> Finding | None:
    """The finding that pip does not find the TFLite engine that edge-rnn's wheel requires."""
    requirement, system = plan.requirement, remedies.system
    if requirement is None or plan.succeeds:
        return None
    problem = f"pip finds no {requirement.text}: {why_not(requirement.package, system, requirement)}"
    others = [item for item in available_engines(system) if engine in (AUTO, item.package)]
    if own_wheel(system) and engine in (AUTO, *OWN_ENGINES):
        return Finding(problem, (remedies.pip.install_bare("click", "numpy"),))
    if others:
        command = remedies.pip.install_bare("click", others[0].pinned, others[0].numpy)
        return Finding(problem, (command,))
    return Finding(problem, (*remedies.with_other_python(), _with_own_engine(remedies)))


def _no_library(remedies: Remedies, engine: str) -> Finding | None:
    """The finding that there are wheels neither with our library nor of the TFLite engines asked for."""
    system = remedies.system
    others = [item for item in available_engines(system) if engine in (AUTO, item.package)]
    if engine == NUMPY or others or (own_wheel(system) and engine in (AUTO, NATIVE)):
        return None
    if engine in ENGINES:
        commands = (*remedies.with_other_python(engine), _with_own_engine(remedies))
        return Finding(f"{engine} is not made for {system}", commands)
    problem = f"no wheel of edge-rnn has a library for {system}"
    if engine == AUTO:
        problem += ", and no TFLite engine is made for it"
    return Finding(problem, (remedies.compiled(), _with_own_engine(remedies)))


def _no_numpy(remedies: Remedies) -> Finding:
    command = remedies.pip.install(OWN_WHEEL if own_wheel(remedies.system) else OWN_SOURCE)
    where = (
        "piwheels has"
        if remedies.pip.takes_piwheels
        else "pip compiles it, for an hour on a small device"
    )
    return Finding(f"PyPI has no wheel of numpy for {remedies.system}; {where}", (command,))


def _with_own_engine(remedies: Remedies) -> str:
    """The command that installs edge-rnn without a TFLite engine, and predicts with its own."""
    if own_wheel(remedies.system):
        return f"{remedies.pip.install_bare('click', 'numpy')} && {fallback(NATIVE)}"
    return f"{remedies.pip.install(OWN_SOURCE)} && {FALLBACK}"


def _verdict(system: System, usable: list[str], engine: str, model: str | None) -> str:
    what = model or "edge-rnn"
    if system.python < OLDEST_PYTHON:
        return "edge-rnn does not run on that system"
    if usable:
        return f"{what} works on that system with {usable[0]}"
    if engine == NUMPY:
        return f"{FALLBACK} works on that system, slowly"
    which = "native or a TFLite engine" if engine == AUTO else engine
    does = f"{fallback(NATIVE)} does" if own_wheel(system) else f"{FALLBACK} does, slowly"
    return f"{what} does not work on that system with {which}; {does}"
