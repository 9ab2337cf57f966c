"""Every error that edge-rnn raises on purpose. Imports nothing heavy.

    EdgeRnnError
    |-- InputError         a window, or a file of windows, that cannot be classified (also a ValueError)
    |-- ModelError         a file that is not a model, is damaged, or lacks edge-rnn's metadata
    |-- EngineError        no engine, or the engine refuses or fails on the model
    |-- DataError          a data set or a run directory that cannot be used
    |-- StreamError        a source of rows that cannot be opened, or that broke off
    |-- WorkerError        another worker of a training has ended, or was never there
    |-- MissingExtraError  a package is not installed; names the extra that brings it
    `-- ParityError        the converted model disagrees with the full model; carries the report
        `-- VerificationError  it disagrees on the device, on the probes that it carries

Each message is one line: the file or option, what is wrong with it and, where that is not obvious, what
to do. The command line prints it and exits with `exit_code`.
"""

from __future__ import annotations

from typing import Protocol

LONGEST_REASON = 300
"""Most characters of another library's exception that go into a message of ours."""


def reason(error: object) -> str:
    """What an exception or a text from a file says, as part of a sentence.

    One printable line, cut to LONGEST_REASON. An exception without a message gives the name of its type.
    """
    text = printable(" ".join(str(error).split())) or type(error).__name__
    return text if len(text) <= LONGEST_REASON else text[:LONGEST_REASON] + "..."


def short_reason(error: BaseException) -> str:
    """`reason` for the first sentence of an exception alone, which says what engines have to say."""
    line = next(iter(str(error).splitlines()), type(error).__name__)
    return reason(line.split(". ")[0].removesuffix("."))


def printable(text: str) -> str:
    """`text` with control characters, which a terminal would obey, as Python writes them."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class ProofResult(Protocol):
    """What a ParityError carries: a ParityReport or a Verification."""

    def __bool__(self) -> bool:
        """Whether the proof passed."""

    def __str__(self) -> str:
        """The result as text."""

    def to_json(self) -> object:
        """The result as JSON: an object or one line of text."""


class EdgeRnnError(Exception):
    """Base class of all errors. `exit_code` is what the command line returns."""

    exit_code = 2


class InputError(EdgeRnnError, ValueError):
    """A window, or a file of windows, that cannot be classified."""


class ModelError(EdgeRnnError):
    """A file that is not a model, is truncated or damaged, or lacks edge-rnn's metadata."""


class EngineError(EdgeRnnError):
    """No engine is installed, or the engine refuses or fails on the model."""


class DataError(EdgeRnnError):
    """A data set or a run directory that cannot be used."""


class StreamError(EdgeRnnError):
    """A source of rows that cannot be opened, or that broke off."""


class WorkerError(EdgeRnnError):
    """Another worker of a training on several machines has ended, or was never there."""

    exit_code = 1


class MissingExtraError(EdgeRnnError):
    """A package that this command needs is not installed."""

    def __init__(self, what: str, package: str, extra: str) -> None:
        super().__init__(
            f"{what} needs {package}, which is not installed. Run pip install 'edge-rnn[{extra}]'."
        )


class ParityError(EdgeRnnError):
    """The converted model disagrees with the full model by more than the budget allows."""

    exit_code = 1

    def __init__(self, message: str, report: ProofResult) -> None:
        super().__init__(message)
        self.report = report


class VerificationError(ParityError):
    """On this device the model disagrees with the full model's logits for the probes in its file."""
