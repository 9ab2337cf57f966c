"""How workers meet before a training, and how each learns in time that another one has ended.

Before TensorFlow starts, every worker connects to the chief on the chief's port and says with what data
and settings it would train. The chief waits for all of them, compares, and sends each one its
checkpoint, so that only the chief needs one. The connections stay open: the system closes them when a
process ends, however it ends. TensorFlow alone waits for workers without a word, and its errors do not
say which worker was the first to end.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edge_runtime.errors import EdgeRnnError, InputError, WorkerError, reason
from edge_runtime.host.atomic_file import replacing
from train.workers.cluster import VARIABLE, Cluster
from train.workers.connection import (
    HELLO_SECONDS,
    LARGEST_FILE,
    Connection,
    connected,
    listening,
)

WAIT_VARIABLE = "EDGE_RNN_WORKER_SECONDS"
WAIT_SECONDS = 300.0
"""How long a worker waits for the others, unless WAIT_VARIABLE says otherwise."""

NOTICE_SECONDS = 5.0
"""After so long a worker says for whom it waits."""

GRACE_SECONDS = 30.0
"""How long TensorFlow may take to notice that another worker has ended, before this process is."""


@contextlib.contextmanager
def met(cluster: Cluster, what: dict[str, Any], checkpoint: Path, seconds: float) -> Iterator[Meeting]:
    """Meet the other workers, and stay connected for the time of the block.

    - `what`: the data and settings of the training, as JSON has them. All workers must agree.
    - `checkpoint`: where the chief's checkpoint is, if there is one. The others get a copy there.
    - `seconds`: how long to wait for workers that are not there yet.

    When the block ends, the others learn how. Raises WorkerError for a worker that does not come, and
    after the block if the chief fails at what only the chief does. Raises InputError for workers that
    disagree, and for a port in use.
    """
    meeting = Meeting(cluster, (_gather if cluster.chief else _join)(cluster, what, checkpoint, seconds))
    try:
        yield meeting
        meeting.finish()
    except BaseException as error:
        meeting.fail(error)
        raise
    finally:
        meeting.close()


class Meeting:
    """The connections of a worker: the chief's to all others, and of each other one to the chief."""

    def __init__(self, cluster: Cluster, connections: dict[int, Connection]) -> None:
        self.cluster = cluster
        self._connections, self._done = connections, set[int]()
        self._sentence = ""
        self._lost, self._over = threading.Event(), threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def lost(self, seconds: float) -> str:
        """The sentence on a worker that has ended, waited for so long; empty if none has."""
        self._lost.wait(seconds)
        return self._sentence

    def finish(self) -> None:
        """Say that this worker is done; all but the chief wait until the chief is."""
        self._send({"done": True})
        if not self.cluster.chief:
            self._watcher.join()
            if self._sentence:
                raise WorkerError(self._sentence)
        self._over.set()

    def fail(self, error: BaseException) -> None:
        """Tell the others why this worker ends."""
        self._over.set()
        self._send({"ended": self._ending(error)})

    def close(self) -> None:
        """End the connections."""
        self._over.set()
        self._watcher.join()
        for connection in self._connections.values():
            connection.close()

    def _ending(self, error: BaseException) -> str:
        if isinstance(error, WorkerError):
            return str(error)  # about another worker, the first one to end
        name = self.cluster.name(self.cluster.index)
        if isinstance(error, EdgeRnnError):
            return f"{VARIABLE}: {name} has ended: {error}"
        how = "was interrupted" if isinstance(error, KeyboardInterrupt) else f"failed ({reason(error)})"
        return f"{VARIABLE}: {name} {how}. {CONTINUE}"

    def _send(self, message: dict[str, Any]) -> None:
        for connection in self._connections.values():
            connection.send(message)

    def _watch(self) -> None:
        """Receive what the others say, until all are done, one is lost, or this worker ends."""
        with selectors.DefaultSelector() as selector:
            for index, connection in self._connections.items():
                selector.register(connection, selectors.EVENT_READ, index)
            while selector.get_map() and not self._over.is_set():
                for key, _ in selector.select(timeout=0.2):
                    if self._heard(key.data):
                        selector.unregister(key.fileobj)
                    if self._lost.is_set():
                        return

    def _heard(self, index: int) -> bool:
        """Receive a message of a worker. Whether it was its last one."""
        message = self._connections[index].receive(HELLO_SECONDS)
        if message is not None and "done" in message:
            self._done.add(index)
            return True
        self._lose(_text(message, "ended") or _gone(self.cluster, index))
        return True

    def _lose(self, sentence: str) -> None:
        self._sentence = sentence
        if self.cluster.chief:
            self._send({"ended": sentence})
        self._lost.set()
        threading.Thread(target=self._end_late, daemon=True).start()

    def _end_late(self) -> None:
        """End the process if TensorFlow does not notice, as while it still connects to that worker."""
        if not self._over.wait(GRACE_SECONDS):
            with contextlib.suppress(OSError):
                os.write(2, f"Error: {self._sentence}\n".encode())
            os._exit(WorkerError.exit_code)


CONTINUE = "Start the training again on every machine, with --resume to continue from its checkpoint."


def _gone(cluster: Cluster, index: int) -> str:
    return f"{VARIABLE}: {cluster.name(index)} has ended. {CONTINUE}"


def _text(message: dict[str, Any] | None, key: str) -> str:
    value = (message or {}).get(key, "")
    return value if isinstance(value, str) else ""


def waiting_seconds(environment: Any) -> float:
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
) -> dict[int, Connection]:
    """The chief's part: wait for all, compare, and answer."""
    found: dict[int, tuple[Connection, dict[str, Any]]] = {}
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
    cluster: Cluster, listener: Any, found: dict[int, tuple[Connection, dict[str, Any]]], seconds: float
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
        connection = Connection(peer)
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
            listener = stack.enter_context(listening(cluster))
        except OSError as error:
            raise InputError(
                f"{VARIABLE}: cannot listen on the port of {cluster.name(cluster.index)} "
                f"({reason(error.strerror)}). End the process that uses it, or choose another port."
            ) from None
        yield listener


def _join(
    cluster: Cluster, what: dict[str, Any], checkpoint: Path, seconds: float
) -> dict[int, Connection]:
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
        raise WorkerError(_text(answer, "ended") or _gone(cluster, 0))
    _copy(cluster, chief, answer["checkpoint"], checkpoint)
    return {0: chief}


def _copy(cluster: Cluster, chief: Connection, size: Any, checkpoint: Path) -> None:
    """Receive the chief's checkpoint; `size` is None where it has none."""
    checkpoint.unlink(missing_ok=True)
    if size is None:
        return
    content = chief.receive_bytes(size) if type(size) is int and size < LARGEST_FILE else None
    if content is None:
        raise WorkerError(_gone(cluster, 0))
    with replacing(checkpoint) as temporary:
        Path(temporary).write_bytes(content)
