"""The engines that a proof runs in: installed ones, and those in isolated environments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

from convert.proof.environments import (
    environment_command,
    environment_folder,
    environment_python,
    make_environment,
)
from convert.targets.target import Engine, Target
from edge_runtime.engines.engine import NATIVE, engine_version, native_kernels, usable_engines
from edge_runtime.errors import EngineError


@dataclass(frozen=True)
class ProofEngine:
    """A version of an engine that can run a file."""

    distribution: str
    version: str
    required: bool
    """Whether the target includes it."""
    python: str | None = None
    """The Python of its isolated environment; None for the running one."""


@dataclass(frozen=True)
class ProofEngines:
    """Where a file for a target can be proven."""

    available: tuple[ProofEngine, ...]
    missing: tuple[Engine, ...]
    """Engines of the target that are neither installed nor in an environment."""


def find_proof_engines(target: Target) -> ProofEngines:
    """Native and every installed engine, and for each other engine of `target` its environment."""
    available = [_installed(name, target) for name in usable_engines()]
    missing = []
    for engine in target.engines:
        if any(engine.covers(found.distribution, found.version) for found in available):
            continue
        environment = None if engine.distribution == NATIVE else environment_python(engine)
        if environment is None:
            missing.append(engine)
        else:
            python, version = environment
            available.append(ProofEngine(engine.distribution, version, True, str(python)))
    return ProofEngines(tuple(available), tuple(missing))


def make_missing(target: Target, progress: Callable[[str], None] | None = None) -> None:
    """Make an environment for each engine that is missing; `progress` gets a line before each.

    Raises EngineError when an environment cannot be made, or NATIVE has no library.
    """
    for engine in find_proof_engines(target).missing:
        if engine.distribution == NATIVE:
            native_kernels()  # says why
        if progress is not None:
            progress(f"Making {environment_folder(engine)} for the proof on {engine.name}")
        make_environment(engine)


def how_to_prove(target: Target) -> str:
    """The commands that make the missing environments, one on each line; empty when none is missing."""
    missing = find_proof_engines(target).missing
    if not missing:
        return ""
    names = ", ".join(engine.name for engine in missing)
    return "\n".join(
        [
            f"To prove it on {names}: pass --prove, or make the environment and convert again:",
            *(f"  {_command(engine)}" for engine in missing),
        ]
    )


def _installed(name: str, target: Target) -> ProofEngine:
    version = engine_version(name)
    return ProofEngine(name, version, target.covers(name, version))


def _command(engine: Engine) -> str:
    if engine.distribution == NATIVE:
        return f"edge-rnn doctor --engine {NATIVE}"  # says how to get its library
    try:
        return environment_command(engine)
    except EngineError as error:
        return str(error)
