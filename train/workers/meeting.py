"""How each worker learns in time that another one has ended.

The connections of the handshake stay open during the training: the system closes them when a process
ends, however it ends. TensorFlow's own errors do not say which worker was the first to end.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edge_runtime.errors import EdgeRnnError, WorkerError, reason
from train.workers.cluster import VARIABLE, Cluster, cluster_of
from train.workers.connection import HELLO_SECONDS, WorkerConnection
from train.workers.handshake import (
    CONTINUE,
    connect_workers,
    gone,
    sentence_in,
    waiting_seconds,
)

GRACE_SECONDS = 30.0
"""How long TensorFlow may take to notice that another worker has ended, before this process is."""


@contextlib.contextmanager
def workers_met(
    environment: Mapping[str, str], what: dict[str, Any], checkpoint: Path
) -> Iterator[Meeting | None]:
    """`met` for the workers that TF_CONFIG names; without others nothing happens, and it gives None."""
    cluster = cluster_of(environment)
    if cluster is None:
        yield None
        return
    plain = json.loads(json.dumps(what))
    with met(cluster, plain, checkpoint, waiting_seconds(environment)) as meeting:
        yield meeting


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
    meeting = Meeting(cluster, connect_workers(cluster, what, checkpoint, seconds))
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

    def __init__(self, cluster: Cluster, connections: dict[int, WorkerConnection]) -> None:
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
        self._lose(sentence_in(message, "ended") or gone(self.cluster, index))
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
