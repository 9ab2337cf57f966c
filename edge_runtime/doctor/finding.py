"""Something that is wrong, with the command that mends it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

FALLBACK = "edge-rnn predict MODEL INPUT --engine numpy"
"""What works wherever numpy does, without a TFLite engine."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong."""

    problem: str
    """A clause."""
    commands: tuple[str, ...] = ()
    """Each mends it, or goes round it; the best first."""

    def __str__(self) -> str:
        """A line each."""
        words = ("mend", *["or"] * len(self.commands))
        lines = [f"{word}: {command}" for word, command in zip(words, self.commands)]
        return "\n".join([f"wrong: {self.problem}", *(f"  {line}" for line in lines)])

    def to_json(self) -> dict[str, Any]:
        """The fields."""
        return asdict(self)
