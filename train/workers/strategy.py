"""TensorFlow's side of a training on several machines: the strategy, and what its errors mean."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

from edge_runtime.errors import InputError, WorkerError
from train.hyperparameters import Hyperparameters
from train.workers.cluster import VARIABLE, Cluster
from train.workers.handshake import CONTINUE
from train.workers.meeting import Meeting

HEARD_SECONDS = 5.0
"""TensorFlow's error may come before the other workers have said which of them ended, by so much."""

_TASK = re.compile(r"/job:(\w+)/(?:replica:\d+/)?task:(\d+)")


@contextlib.contextmanager
def worker_strategy(tf: Any, meeting: Meeting | None, chosen: Hyperparameters) -> Iterator[Any]:
    """The strategy of tf.distribute for a training, for the time of the block.

    Without other workers (None): the default strategy. With them: a MultiWorkerMirroredStrategy, which
    has to be made before TensorFlow computes anything. Raises InputError for a batch that cannot be
    divided among the replicas and for float16, and WorkerError when another worker has ended.
    """
    if meeting is None:
        yield tf.distribute.get_strategy()
        return
    with _told_by_sentence(tf, meeting):
        tf.get_logger().setLevel("ERROR")
        strategy = tf.distribute.MultiWorkerMirroredStrategy(_resolver(tf, meeting.cluster))
        _check_replicas(chosen, strategy.num_replicas_in_sync)
        yield strategy


def mean_of_replicas(tf: Any, strategy: Any, values: list[float]) -> list[float]:
    """The mean over all replicas of numbers that each has measured, so that all decide alike.

    float64; every worker has to call this.
    """
    if strategy.num_replicas_in_sync == 1:
        return values

    def reduced() -> Any:
        own = tf.constant(values, tf.float64)
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, own)

    found = strategy.experimental_local_results(strategy.run(reduced))[0]
    return [float(value) for value in found.numpy()]


def _resolver(tf: Any, cluster: Cluster) -> Any:
    jobs: dict[str, list[str]] = {}
    for (job, _), address in zip(cluster.jobs, cluster.addresses):
        jobs.setdefault(job, []).append(address)
    job, number = cluster.jobs[cluster.index]
    return tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec(jobs), task_type=job, task_id=number, rpc_layer="grpc"
    )


def _check_replicas(chosen: Hyperparameters, replicas: int) -> None:
    if chosen.batch_size % replicas:
        raise InputError(
            f"--batch-size: {chosen.batch_size} windows cannot be divided among {replicas} replicas. "
            f"Choose a multiple of {replicas}."
        )
    if chosen.mixed_precision == "float16":  # Keras refuses to scale a loss between replicas
        raise InputError("--mixed-precision: float16 trains on one replica only. Choose bfloat16.")


@contextlib.contextmanager
def _told_by_sentence(tf: Any, meeting: Meeting) -> Iterator[None]:
    """TensorFlow's errors in the block become a WorkerError if another worker has ended."""
    broken = (
        tf.errors.UnavailableError,
        tf.errors.AbortedError,
        tf.errors.DeadlineExceededError,
        tf.errors.CancelledError,
    )
    try:
        yield
    except tf.errors.OpError as error:
        sentence = meeting.lost(HEARD_SECONDS)
        if not sentence and not isinstance(error, broken):
            raise
        raise WorkerError(sentence or _silent(meeting.cluster, str(error))) from None


def _silent(cluster: Cluster, message: str) -> str:
    """The sentence on a worker that TensorFlow no longer reaches, though its process has not ended."""
    for job, number in _TASK.findall(message):
        index = cluster.jobs.index((job, int(number))) if (job, int(number)) in cluster.jobs else -1
        if index not in (-1, cluster.index):
            return f"{VARIABLE}: {cluster.name(index)} no longer answers. {CONTINUE}"
    if "CoordinationService" in message and not cluster.chief:  # the chief runs it
        return f"{VARIABLE}: {cluster.name(0)} no longer answers. {CONTINUE}"
    return f"{VARIABLE}: the workers no longer reach each other. {CONTINUE}"
