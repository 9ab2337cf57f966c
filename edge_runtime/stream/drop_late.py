"""For sensors that cannot wait: keeps the newest rows and drops the oldest."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from threading import Condition, Thread

from edge_runtime.errors import InputError
from edge_runtime.inputs.lines import Line


@dataclass(frozen=True)
class Dropped:
    """Rows that were not classified, because newer ones were waiting."""

    count: int
    first: int
    """Number of the first row; the rows are consecutive."""
    last: int

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps({"dropped": self.count, "rows": [self.first, self.last]})


def drop_late(lines: Iterable[Line], most: int) -> Iterator[Line | Dropped]:
    """The lines, read by a separate thread as fast as they arrive; at most `most` of them wait.

    When more are waiting, the oldest are dropped, and a Dropped is given before the next line. Raises
    InputError for `most` below 1. What reading raises is raised after the lines before it.
    """
    if most < 1:
        raise InputError(f"--drop-late: expected at least 1 row, found {most}.")
    waiting = _Waiting(most)
    # A daemon, because it may hang in a read when the command ends.
    Thread(target=waiting.take_all, args=(lines,), name="reader of rows", daemon=True).start()
    return waiting.give_all()


class _Waiting:
    """The lines between the reading thread and the one that classifies."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lines: deque[Line] = deque()
        self._dropped: Dropped | None = None
        self._ended = False
        self._error: Exception | None = None
        self._changed = Condition()

    def take_all(self, lines: Iterable[Line]) -> None:
        """Runs in the reading thread."""
        error = None
        try:
            for line in lines:
                self._take(line)
        except Exception as caught:  # raised again by the thread that classifies
            error = caught
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify()

    def _take(self, line: Line) -> None:
        with self._changed:
            self._lines.append(line)
            if len(self._lines) > self._most:
                oldest, before = self._lines.popleft().number, self._dropped
                self._dropped = (
                    Dropped(before.count + 1, before.first, oldest)
                    if before
                    else Dropped(1, oldest, oldest)
                )
            self._changed.notify()

    def give_all(self) -> Iterator[Line | Dropped]:
        """Runs in the classifying thread."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._lines or self._ended)
                dropped, self._dropped = self._dropped, None
                line = self._lines.popleft() if self._lines else None
            if dropped:
                yield dropped
            if line is None:
                break
            yield line
        if self._error:
            raise self._error
