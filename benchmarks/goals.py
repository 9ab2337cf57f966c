"""What the project wants its figures to show, and whether they do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    """A figure with its limit."""

    what: str
    found: float
    limit: float
    at_least: bool = False
    """Whether the limit is the smallest figure that meets the goal. Otherwise it is the largest."""

    @property
    def met(self) -> bool:
        """Whether the figure is within the limit."""
        return self.found >= self.limit if self.at_least else self.found <= self.limit

    def __str__(self) -> str:
        goal = f"{'at least' if self.at_least else 'at most'} {self.limit:,g}"
        return f"| {self.what} | {self.found:,.2f} | {goal} | {'yes' if self.met else '**no**'} |"


def print_goals(goals: list[Goal]) -> None:
    """A table of them; nothing without goals."""
    if goals:
        print("\n| to show | found | goal | met |\n| --- | --- | --- | --- |")
        print("\n".join(map(str, goals)))
