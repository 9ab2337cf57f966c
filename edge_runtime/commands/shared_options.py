"""What the commands that run a model have in common: how it is opened."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Callable, TypeVar

import click

if TYPE_CHECKING:
    from edge_runtime.inference.classifier import Classifier
    from edge_runtime.inference.pool import ClassifierPool
    from edge_runtime.inference.streaming import StreamingClassifier

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--engine",
        default="auto",
        show_default=True,
        help="ai-edge-litert, tflite-runtime, numpy (needs neither, slow), or auto: the fastest "
        "TFLite engine that is installed.",
    ),
    click.option("--threads", default=1, show_default=True, help="Threads of the engine."),
    click.option(
        "--shared-weights",
        is_flag=True,
        help="One packed copy of each matrix for all steps: faster. For all but int16x8, on "
        "ai-edge-litert 2.1.6 and newer.",
    ),
    click.option(
        "--trust",
        is_flag=True,
        help="Load the model even if it does not match the SHA-256 in its file: changed on purpose, "
        "not damaged.",
    ),
)


def engine_options(command: Command) -> Command:
    """Adds the options that `opened` takes."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@contextlib.contextmanager
def opened(model: str, **options: Any) -> Iterator[Classifier]:
    """The classifier, closed in the end; what the engine prints while it loads is held back.

    This is where numpy and the engine are loaded: a command imports what needs them inside.
    """

    def open_it() -> Classifier:
        from edge_runtime.inference.classifier import Classifier

        return Classifier(model, **options)

    with _opened(open_it, options) as classifier:
        yield classifier


@contextlib.contextmanager
def opened_pool(model: str, jobs: int, **options: Any) -> Iterator[Classifier | ClassifierPool]:
    """As `opened`, with `jobs` interpreters."""
    if jobs == 1:
        with opened(model, **options) as classifier:
            yield classifier
        return

    def open_it() -> ClassifierPool:
        from edge_runtime.inference.pool import ClassifierPool

        return ClassifierPool(model, jobs, **options)

    with _opened(open_it, options) as pool:
        yield pool


@contextlib.contextmanager
def opened_stream(model: str, **options: Any) -> Iterator[StreamingClassifier]:
    """As `opened`, for rows."""

    def open_it() -> StreamingClassifier:
        from edge_runtime.inference.streaming import StreamingClassifier

        return StreamingClassifier(model, **options)

    with _opened(open_it, options) as stream:
        yield stream


@contextlib.contextmanager
def _opened(open_it: Callable[[], Any], options: dict[str, Any]) -> Iterator[Any]:
    from edge_runtime.host.quiet import quiet_exit, quiet_stderr, uncollected

    # Nothing here multiplies large matrices, for which numpy would start a thread for every core.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if options.get("shared_weights"):
        quiet_exit()  # its accelerators take their leave there
    if options.get("engine") == "numpy":
        click.echo("Note: the numpy engine is tens of times slower than a TFLite engine.", err=True)
    with uncollected(), quiet_stderr():  # the engine announces its delegate there
        classifier = open_it()
    try:
        yield classifier
    finally:
        with quiet_stderr():
            classifier.close()
