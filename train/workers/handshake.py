"""How workers meet before a training.

Before TensorFlow starts, every worker connects to the chief on the chief's port and says with what data
and settings it would train. The chief waits for all of them, compares, and sends each one its
checkpoint, so that only the chief needs one. TensorFlow alone would wait for workers without a word.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edge_runtime.errors import EdgeRnnError, InputError, WorkerError, reason
from edge_runtime.host.atomic_file import replacing
from train.workers.cluster import VARIABLE, Cluster
from train.workers.connection import (
    HELLO_SECONDS,
    LARGEST_FILE,
    WorkerConnection,
    connected,
    listening_worker,
)

WAIT_VARIABLE = "EDGE_RNN_WORKER_SECONDS"
WAIT_SECONDS = 300.0
"""How long a worker waits for the others, unless WAIT_VARIABLE says otherwise."""

NOTICE_SECONDS = 5.0
"""After so long a worker says for whom it waits."""

CONTINUE = "Start the training again on every machine, with --resume to continue from its checkpoint."


def connect_workers(
    cluster: Cluster, what: dict[str, Any], checkpoint: Path, seconds: float
) -> dict[int, WorkerConnection]:
    """The connections of this worker, by the other's index; arguments and errors as `met` has them."""
    return (_gather if cluster.chief else _join)(cluster, what, checkpoint, seconds)


def gone(cluster: Cluster, index: int) -> str:
    """The sentence on a worker whose connection has closed."""
    return f"{VARIABLE}: {cluster.name(index)} has ended. {CONTINUE}"


def sentence_in(message: dict[str, Any] | None, key: str) -> str:
    """The text of a message under `key`; empty where it has none."""
    value = (message or {}).get(key, "")
    return value if isinstance(value, str) else ""


def waiting_seconds(environment: Mapping[str, str]) -> float:
    """How long to wait for the other workers. Raises InputError for WAIT_VARIABLE out of range."""
    text = environment.get(WAIT_VARIABLE, "")
    try:
        seconds = float(text or WAIT_SECONDS)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise InputError(f"{WAIT_VARIABLE}: expected a number of seconds above 0, found {text!r}.")
    return seconds


def _gather(
    cluster: Cluster, what: dict[str, Any], checkpoint: Path, seconds: float
) -> dict[int, WorkerConnection]:
    """The chief's part: wait for all, compare, and answer."""
    found: dict[int, tuple[WorkerConnection, dict[str, Any]]] = {}
    try:
        with _own_port(cluster) as listener:
            _accept_all(cluster, listener, found, seconds)
        for index, (_, hello) in sorted(found.items()):
            _check_same(cluster, index, what, hello.get("what"))
        content = checkpoint.read_bytes() if checkpoint.is_file() else None
    except BaseException as error:
        ending = str(error) if isinstance(error, EdgeRnnError) else f"{VARIABLE}: the chief has ended."
        for connection, _ in found.values():
            connection.send({"ended": ending})
            connection.close()
        raise
    for connection, _ in found.values():
        size = None if content is None else len(content)
        connection.send({"checkpoint": size}, content or b"")
    return {index: connection for index, (connection, _) in found.items()}


def _accept_all(
    cluster: Cluster,
    listener: Any,
    found: dict[int, tuple[WorkerConnection, dict[str, Any]]],
    seconds: float,
) -> None:
    started, told = time.monotonic(), False
    while missing := [index for index in range(1, len(cluster.addresses)) if index not in found]:
        waited = time.monotonic() - started
        if waited > seconds:
            raise _absent(cluster, missing, seconds)
        if waited > NOTICE_SECONDS and not told:
            told = _notice(cluster, missing)
        listener.settimeout(0.2)
        try:
            peer, _ = listener.accept()
        except OSError:  # nobody yet
            continue
        connection = WorkerConnection(peer)
        hello = connection.receive(HELLO_SECONDS) or {}
        index = hello.get("worker")
        if hello.get("edge-rnn") is True and type(index) is int and 0 < index < len(cluster.addresses):
            found[index] = (connection, hello)  # a worker that was started again replaces itself
        else:
            connection.close()


def _absent(cluster: Cluster, missing: list[int], seconds: float) -> WorkerError:
    return WorkerError(
        f"{VARIABLE}: no answer from {cluster.names(missing)} in {seconds:g} seconds. Start the same "
        f"command there, or wait longer with {WAIT_VARIABLE}."
    )


def _notice(cluster: Cluster, missing: list[int]) -> bool:
    print(f"waiting for {cluster.names(missing)}", file=sys.stderr, flush=True)
    return True


def _check_same(cluster: Cluster, index: int, mine: dict[str, Any], theirs: Any) -> None:
    theirs = theirs if isinstance(theirs, dict) else {}
    for name in [*mine, *theirs]:
        if mine.get(name) != theirs.get(name):
            raise InputError(
                f"{VARIABLE}: {cluster.name(0)} has {name} {reason(mine.get(name))}, and "
                f"{cluster.name(index)} has {reason(theirs.get(name))}. All workers need the same data "
                "and settings."
            )


@contextlib.contextmanager
def _own_port(cluster: Cluster) -> Iterator[Any]:
    with contextlib.ExitStack() as stack:
        try:
            listener = stack.enter_context(listening_worker(cluster))
        except OSError as error:
            raise InputError(
                f"{VARIABLE}: cannot listen on the port of {cluster.name(cluster.index)} "
                f"({reason(error.strerror)}). End the process that uses it, or choose another port."
            ) from None
        yield listener


def _join(
    cluster: Cluster, what: dict[str, Any], checkpoint: Path, seconds: float
) -> dict[int, WorkerConnection]:
    """The part of all others: say who they are, and wait for the chief's answer."""
    with _own_port(cluster):
        pass  # free for TensorFlow
    chief = connected(cluster, 0, min(seconds, NOTICE_SECONDS))
    if chief is None:
        _notice(cluster, [0])
        chief = connected(cluster, 0, seconds - NOTICE_SECONDS)
    if chief is None:
        raise _absent(cluster, [0], seconds)
    chief.send({"edge-rnn": True, "worker": cluster.index, "what": what})
    answer = chief.receive()
    if answer is None or "checkpoint" not in answer:
        chief.close()
        raise WorkerError(sentence_in(answer, "ended") or gone(cluster, 0))
    _copy(cluster, chief, answer["checkpoint"], checkpoint)
    return {0: chief}


def _copy(cluster: Cluster, chief: WorkerConnection, size: Any, checkpoint: Path) -> None:
    """Receive the chief's checkpoint; `size` is None where it has none."""
    checkpoint.unlink(missing_ok=True)
    if size is None:
        return
    content = chief.receive_bytes(size) if type(size) is int and size < LARGEST_FILE else None
    if content is None:
        raise WorkerError(gone(cluster, 0))
    with replacing(checkpoint) as temporary:
        Path(temporary).write_bytes(content)
