"""What the doctor says in the end: facts, findings, a verdict."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Fact:
    """Something that was looked at."""

    name: str
    text: str
    """One line."""
    record: Any
    """The same for JSON."""

    @classmethod
    def of(cls, name: str, thing: Any) -> Fact:
        """Of something that is printable and has `to_json`."""
        return cls(name, str(thing), thing.to_json())


@dataclass(frozen=True)
class Diagnosis:
    """Truthy when edge-rnn works; printable, JSON."""

    facts: tuple[Fact, ...]
    findings: tuple[Any, ...]
    """Of finding.Finding."""
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
