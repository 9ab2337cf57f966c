"""Runs a target's mutations in child processes and counts the outcomes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.child import keep
from tests.fuzz.outcome import Outcome
from tests.fuzz.seeds import write_seeds
from tests.fuzz.targets import SANITIZED
from tests.support.made_once import made_once
from tests.support.sanitized_builds import environment, has_sanitizers, write_sanitized

ROOT = Path(__file__).parents[2]

MOST_SECONDS = 60
"""Seconds by the clock on one file. A child that takes longer hangs."""

TRUST = "trust"
"""Targets whose names begin like this start a process for every mutation."""


@dataclass(frozen=True)
class Counts:
    """The outcomes of the mutations of a target."""

    target: str
    outcomes: Counter[Outcome]
    findings: tuple[Path, ...]
    """Text files. Beside each is the mutated file, named by the mutation's number."""
    seconds: float

    @property
    def mutations(self) -> int:
        """The number of files tried."""
        return sum(self.outcomes.values()) - self.outcomes[Outcome.NOT_RUN]

    @property
    def refused(self) -> int:
        """The number of files refused with a typed error."""
        return self.outcomes[Outcome.REFUSED] + self.outcomes[Outcome.ENGINE_DIED]

    def row(self) -> tuple[str, ...]:
        """The row of the table."""
        died = f"{self.outcomes[Outcome.ENGINE_DIED]:,}" if self.target.startswith(TRUST) else "-"
        numbers = (self.mutations, self.refused, self.outcomes[Outcome.ANSWERED])
        found = self.outcomes[Outcome.FINDING]
        return (self.target, *(f"{n:,}" for n in numbers), died, str(found), f"{self.seconds:.0f}")


HEADINGS = (
    "target",
    "mutations",
    "refused with a typed error",
    "right answer",
    "kills the engine, if trusted",
    "findings",
    "seconds",
)


def table(counts: Sequence[Counts]) -> str:
    """Markdown, with a last row of sums."""
    rows = [item.row() for item in counts]
    outcomes = sum((item.outcomes for item in counts), Counter())
    rows.append(Counts("together", outcomes, (), sum(item.seconds for item in counts)).row())
    lines = [HEADINGS, ("---", *("---:" for _ in HEADINGS[1:])), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def explained(counts: Sequence[Counts]) -> list[str]:
    """A line for each finding: its file, and the last line of its description."""
    paths = [path for item in counts for path in item.findings]
    return [f"{path}: {path.read_text().strip().splitlines()[-1]}" for path in paths]


def run_target(name: str, seed: int, count: int, folder: Path, first: int = 0) -> Counts:
    """Run the mutations of a target from number `first` on.

    A child that dies or hangs is a finding, and another child goes on with the next mutation. Expects
    the seeds in `folder/seeds` (seeds.write_seeds). Findings are in `folder/TARGET-SEED/findings`.
    """
    started = time.monotonic()
    place = folder / f"{name.replace(', ', '-').replace(' ', '-')}-{seed}"
    place.mkdir(exist_ok=True)
    outcomes = place / "outcomes"
    outcomes.write_bytes(bytes(first + count))
    start = first
    while start < first + count:
        ended = _child(name, seed, start, place)
        if not ended:
            break
        start = _blame(place, ended) + 1
    found = Counter(map(Outcome, outcomes.read_bytes()[first:]))
    findings = tuple(sorted(place.glob("findings/*.txt")))
    return Counts(name, found, findings, time.monotonic() - started)


def can_run(name: str) -> bool:
    """Whether this machine has the compiler that the target needs."""
    return not name.endswith(SANITIZED) or has_sanitizers()


def write_seeds_once(folder: Path) -> None:
    """The valid files, in `folder/seeds`."""
    if not (folder / "seeds").exists():
        write_seeds(folder / "seeds")


def _blame(place: Path, ended: str) -> int:
    """Keep the file on which a child ended as a finding. Returns its number."""
    index = (place / "outcomes").read_bytes().find(Outcome.RUNNING)
    if index < 0:
        raise RuntimeError(f"{place.name}: the child failed outside of a mutation:\n{ended}")
    keep(place, index, next(place.glob("mutated.*")), ended)
    with (place / "outcomes").open("r+b") as file:
        file.seek(index)
        file.write(bytes([Outcome.FINDING]))
    return index


def _child(name: str, seed: int, start: int, place: Path) -> str:
    """Run a child. Returns how it ended; empty if it has done everything."""
    plain = name.removesuffix(SANITIZED)  # the same mutations
    command = [sys.executable, "-m", "tests.fuzz.child", plain, str(seed), str(start), str(place)]
    variables = None
    if plain != name:
        variables = environment(made_once(place.parent / "sanitized", write_sanitized))
    with (place / "log").open("wb") as log:
        child = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env=variables)
        try:
            hung = _hangs(child, place / "outcomes")
        finally:
            child.kill()
            child.wait()
    text = (place / "log").read_text(errors="replace")[-5000:].strip()
    if hung:
        return f"{text}\nhangs: more than {MOST_SECONDS} s"
    return "" if not child.returncode else f"{text}\nended with {child.returncode}"


def _hangs(child: subprocess.Popen[bytes], outcomes: Path) -> bool:
    """Wait for the end. Returns whether the child had to be given up because it made no progress."""
    seen, since = b"?", time.monotonic()
    while time.monotonic() - since < MOST_SECONDS:
        try:
            child.wait(timeout=1)
            return False
        except subprocess.TimeoutExpired:
            done = outcomes.read_bytes().rstrip(bytes([Outcome.NOT_RUN]))
        if done != seen:
            seen, since = done, time.monotonic()
    return True
