"""The options and the opening of a model, which the commands that run one share."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Callable, TypeVar

import click

if TYPE_CHECKING:
    from edge_runtime.inference.pool import PredictorPool
    from edge_runtime.inference.predictor import Predictor
    from edge_runtime.inference.streaming import StreamingPredictor

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--engine",
        default="auto",
        show_default=True,
        help="The engine: native (edge-rnn's own), ai-edge-litert, tflite-runtime, numpy (slow, but "
        "needs no other package), or auto (native where it runs the model, and otherwise the fastest "
        "TFLite engine that is installed).",
    ),
    click.option(
        "--threads",
        default=1,
        show_default=True,
        help="The number of threads that a TFLite engine uses.",
    ),
    click.option(
        "--shared-weights",
        is_flag=True,
        help="Let all steps share one packed copy of each weight matrix, which is faster. Needs "
        "ai-edge-litert 2.1.6 or newer, and works with every precision except int16x8.",
    ),
    click.option(
        "--trust",
        is_flag=True,
        help="Skip the SHA-256 check, for a file that was changed on purpose.",
    ),
)


def engine_options(command: Command) -> Command:
    """Adds the options that `opened` takes."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@contextlib.contextmanager
def opened(model: str, **options: Any) -> Iterator[Predictor[Any]]:
    """The model, closed in the end. What the engine prints while it loads is held back.

    numpy and the engine are loaded by this function, so that a command imports what needs them later.
    """

    def open_it() -> Predictor[Any]:
        from edge_runtime.inference.predictor import Predictor

        return Predictor(model, **options)

    with _opened(open_it, options) as predictor:
        yield predictor


@contextlib.contextmanager
def opened_pool(model: str, jobs: int, **options: Any) -> Iterator[Predictor[Any] | PredictorPool[Any]]:
    """As `opened`, with `jobs` interpreters."""
    if jobs == 1:
        with opened(model, **options) as predictor:
            yield predictor
        return

    def open_it() -> PredictorPool[Any]:
        from edge_runtime.inference.pool import PredictorPool

        return PredictorPool(model, jobs, **options)

    with _opened(open_it, options) as pool:
        yield pool


@contextlib.contextmanager
def opened_stream(model: str, **options: Any) -> Iterator[StreamingPredictor[Any]]:
    """As `opened`, for rows."""

    def open_it() -> StreamingPredictor[Any]:
        from edge_runtime.inference.streaming import StreamingPredictor

        return StreamingPredictor(model, **options)

    with _opened(open_it, options) as stream:
        yield stream


@contextlib.contextmanager
def _opened(open_it: Callable[[], Any], options: dict[str, Any]) -> Iterator[Any]:
    from edge_runtime.host.quiet import quiet_exit, quiet_stderr, uncollected

    # numpy starts a thread for every core to multiply large matrices, which no command does.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if options.get("shared_weights"):
        quiet_exit()  # LiteRT's accelerators print a message at exit
    if options.get("engine") == "numpy":
        click.echo("Note: the numpy engine is tens of times slower than the others.", err=True)
    with uncollected(), quiet_stderr():  # the engine announces its delegate on standard error
        predictor = open_it()
    try:
        yield predictor
    finally:
        with quiet_stderr():
            predictor.close()
