"""Why an engine failed its trial: from a message or a signal to a finding."""

from __future__ import annotations

import re
from typing import Callable

from edge_runtime.doctor.build_note import build_failure
from edge_runtime.doctor.diagnosis import Finding
from edge_runtime.doctor.packages.remedies import Remedies
from edge_runtime.doctor.trial import IMPORT, NUMPY_IMPORT, USER_MODEL, Trial, first_line
from edge_runtime.engines.engine import NATIVE, NUMPY

SIGNALS = {
    "SIGILL": "illegal instruction: it is built for a newer processor than this one",
    "SIGSEGV": "bad memory access: it is built for another system, or its files are damaged",
    "SIGABRT": "it gave up after an internal check failed",
    "SIGBUS": "bus error: it is built for another system, or its files are damaged",
    "SIGKILL": "the system stopped it, as it does when memory runs out",
}
"""Signal -> why it ends a process."""

STAGE_WORDS = {
    NUMPY_IMPORT: "on being imported",
    IMPORT: "on being imported",
    USER_MODEL: "on the model",
}

SYSTEM_PACKAGES = {
    "libopenblas.so.0": "libopenblas0",
    "libblas.so.3": "libblas3",
    "liblapack.so.3": "liblapack3",
    "libgfortran.so.5": "libgfortran5",
    "libstdc++.so.6": "libstdc++6",
    "libatomic.so.1": "libatomic1",
    "libgomp.so.1": "libgomp1",
}
"""Shared library -> the package that provides it in Debian and its derivatives."""


def cause(trial: Trial, remedies: Remedies) -> Finding:
    """What is wrong with an engine that failed its trial, with or without a model, and how to fix it."""
    if trial.signal or trial.timed_out:
        return _ended(trial, remedies)
    if not trial.stage:
        return _wrong(trial, remedies)
    for pattern, explain in _MESSAGES:
        match = re.search(pattern, trial.failure)
        if match:
            return explain(match, trial, remedies)
    said = first_line(trial.failure)
    if trial.engine == NATIVE and trial.stage == IMPORT:
        return Finding(_of_library(said), remedies.own_library())
    return Finding(f"{_subject(trial)} fails {_place(trial)}: {said}", _again(trial, remedies))


def _of_library(said: str) -> str:
    """What the loader of NATIVE's library says, without its advice, and why there is none."""
    failure = build_failure()
    return said.split(". ")[0] + (f", because it was not compiled ({failure})" if failure else "")


def _subject(trial: Trial) -> str:
    return "numpy" if trial.stage == NUMPY_IMPORT else trial.name


def _place(trial: Trial) -> str:
    if trial.engine == NATIVE and trial.stage == IMPORT:
        return "on being loaded"
    return STAGE_WORDS.get(trial.stage, "on running a small model")


def _again(trial: Trial, remedies: Remedies) -> tuple[str, ...]:
    """Commands that install the files of what failed once more."""
    if trial.stage == NUMPY_IMPORT or trial.engine == NUMPY:
        return (remedies.reinstall_numpy(trial.engine, trial.version),)
    if trial.stage == USER_MODEL and trial.engine == NATIVE:
        return remedies.other_engine(NATIVE)
    if trial.stage == USER_MODEL:  # the engine itself is sound
        return remedies.replace(trial.engine, trial.version)
    return remedies.reinstall(trial.engine, trial.version)


def _ended(trial: Trial, remedies: Remedies) -> Finding:
    name = trial.signal or ""
    why = f"dies of {name} ({SIGNALS[name]})" if name in SIGNALS else f"dies of {name}"
    if trial.timed_out:
        why = "hangs and was stopped after the time that --timeout allows"
    problem = f"{_subject(trial)} {why}, {_place(trial)}"
    if trial.stage == NUMPY_IMPORT:
        return Finding(problem, (remedies.older_numpy(),) if trial.signal else _again(trial, remedies))
    return Finding(problem, remedies.replace(trial.engine, trial.version))


def _wrong(trial: Trial, remedies: Remedies) -> Finding:
    what = "the trial model" if not trial.computes else "the model"
    result = (trial.model if trial.computes else trial.verification) or {}
    failed = len(result.get("mismatches", ()))
    problem = (
        f"{trial.name} loads {what} and computes something else: "
        f"{failed} of {result['probes']} probes fail"
    )
    return Finding(problem, remedies.replace(trial.engine, trial.version))


def _no_numpy(match: re.Match[str], trial: Trial, remedies: Remedies) -> Finding:
    return Finding("numpy is not installed", (remedies.numpy_for(trial.engine, trial.version),))


def _numpy_too_new(match: re.Match[str], trial: Trial, remedies: Remedies) -> Finding:
    problem = f"{trial.name} is built for numpy 1, and numpy is {trial.numpy}"
    return Finding(problem, (remedies.pip.install("numpy<2"),))


def _numpy_too_old(match: re.Match[str], trial: Trial, remedies: Remedies) -> Finding:
    problem = f"{trial.name} is built for a newer numpy than {trial.numpy}"
    return Finding(problem, (remedies.numpy_for(trial.engine, trial.version),))


def _older_libc(match: re.Match[str], trial: Trial, remedies: Remedies) -> Finding:
    libc = "libstdc++" if match.group(1).startswith("GLIBCXX") else "glibc"
    problem = f"{_subject(trial)} needs {match.group(1)}, and the {libc} of this system is older"
    if trial.stage == NUMPY_IMPORT:
        return Finding(problem, _again(trial, remedies))
    return Finding(problem, remedies.replace(trial.engine, trial.version))


def _no_symbol(match: re.Match[str], trial: Trial, remedies: Remedies) -> Finding:
    problem = f"{_subject(trial)} lacks the symbol {match.group(1)}: it is built for other libraries"
    return Finding(problem, _again(trial, remedies))


def _no_library(match: re.Match[str], trial: Trial, remedies: Remedies) -> Finding:
    library = match.group(1)
    package = SYSTEM_PACKAGES.get(library)
    commands = (f"sudo apt install {package}",) if package else _again(trial, remedies)
    return Finding(f"{_subject(trial)} needs the library {library}, which is not installed", commands)


def _other_machine(match: re.Match[str], trial: Trial, remedies: Remedies) -> Finding:
    problem = f"{_subject(trial)} is built for another architecture ({match.group(0)})"
    return Finding(problem, _again(trial, remedies))


def _no_module(match: re.Match[str], trial: Trial, remedies: Remedies) -> Finding:
    problem = f"{_subject(trial)} needs the module {match.group(1)}, which is not installed"
    return Finding(problem, _again(trial, remedies))


_MESSAGES: tuple[tuple[str, Callable[[re.Match[str], Trial, Remedies], Finding]], ...] = (
    (r"No module named 'numpy'", _no_numpy),
    (r"version `(GLIBC(?:XX)?_[\d.]+)' not found", _older_libc),
    (r"undefined symbol: (\w+)", _no_symbol),
    (r"(lib[\w.+-]+): cannot open shared object file", _no_library),
    (r"wrong ELF class: \w+|invalid ELF header", _other_machine),
    (r"compiled against (?:NumPy C-)?API version|numpy\.dtype size changed", _numpy_too_old),
    (r"_ARRAY_API not found|numpy\.core\.multiarray failed to import", _numpy_too_new),
    (r"No module named '([\w.]+)'", _no_module),
)
"""Messages of dynamic loaders, numpy and Python -> what they mean; the first match counts."""
