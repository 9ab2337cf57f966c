"""The doctor's result: facts, findings and a verdict."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Protocol

FALLBACK = "edge-rnn predict MODEL INPUT --engine numpy"
"""What works wherever numpy does, slowly."""


def fallback(engine: str) -> str:
    """The command that predicts with that engine."""
    return f"edge-rnn predict MODEL INPUT --engine {engine}"


class Printable(Protocol):
    """A record with one line of text and a JSON object."""

    def __str__(self) -> str:
        """One line."""

    def to_json(self) -> dict[str, Any]:
        """The fields."""


@dataclass(frozen=True)
class Fact:
    """Something that the doctor has examined."""

    name: str
    text: str
    """One line."""
    record: Any
    """The same for JSON."""

    @classmethod
    def of(cls, name: str, thing: Printable) -> Fact:
        """The fact that `thing` states: its text and its JSON."""
        return cls(name, str(thing), thing.to_json())


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong."""

    problem: str
    """A clause."""
    commands: tuple[str, ...] = ()
    """Each fixes the problem or works around it; the best first."""

    def __str__(self) -> str:
        """The problem and each command on lines of their own."""
        words = ("fix", *["or"] * len(self.commands))
        lines = [f"{word}: {command}" for word, command in zip(words, self.commands)]
        return "\n".join([f"wrong: {self.problem}", *(f"  {line}" for line in lines)])

    def to_json(self) -> dict[str, Any]:
        """The fields."""
        return asdict(self)


@dataclass(frozen=True)
class Diagnosis:
    """Truthy when edge-rnn works; printable, JSON.

    Example:
        from edge_runtime import examine

        diagnosis = examine("model.tflite")
        print(diagnosis)
        for finding in diagnosis.findings:
            print(finding.problem, finding.commands)
    """

    facts: tuple[Fact, ...]
    findings: tuple[Finding, ...]
    verdict: str
    """One line."""
    works: bool

    def __bool__(self) -> bool:
        return self.works

    def __str__(self) -> str:
        """A line for each fact, two or more for each finding, and the verdict."""
        lines = [f"{fact.name}: {fact.text}" for fact in self.facts]
        return "\n".join([*lines, *map(str, self.findings), self.verdict])

    def to_json(self) -> str:
        """One line of JSON."""
        record = {
            "works": self.works,
            "facts": {fact.name: fact.record for fact in self.facts},
            "findings": [finding.to_json() for finding in self.findings],
            "verdict": self.verdict,
        }
        return json.dumps(record, allow_nan=False)
