"""The machines of a training, as the environment variable TF_CONFIG names them.

The variable is TensorFlow's (tf.distribute.cluster_resolver.TFConfigClusterResolver). It is read here,
because TensorFlow answers a mistake in it with a traceback, or by waiting.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge_runtime.errors import InputError, reason

VARIABLE = "TF_CONFIG"

EXAMPLE = '{"cluster": {"worker": ["HOST:PORT", "HOST:PORT"]}, "task": {"type": "worker", "index": 0}}'

JOBS = ("chief", "worker")
"""The jobs that take part in a training, the first worker first."""


@dataclass(frozen=True)
class Cluster:
    """The workers of one training. Worker 0 is the chief: it reports, and writes the run."""

    addresses: tuple[str, ...]
    """HOST:PORT of each worker."""
    index: int
    """Which of them this process is."""
    jobs: tuple[tuple[str, int], ...]
    """TensorFlow's name of each worker: its job, and its number there."""

    @property
    def chief(self) -> bool:
        """Whether this process is worker 0."""
        return self.index == 0

    def name(self, index: int) -> str:
        """A worker, for a sentence: its number and its address."""
        return f"worker {index} ({self.addresses[index]})"

    def names(self, indices: list[int]) -> str:
        """Several workers, for a sentence."""
        return " and ".join(self.name(index) for index in indices)

    def host_and_port(self, index: int) -> tuple[str, int]:
        """Where a worker listens."""
        host, _, port = self.addresses[index].rpartition(":")
        return host.strip("[]"), int(port)


def cluster_of(environment: Mapping[str, str]) -> Cluster | None:
    """The cluster that TF_CONFIG describes; None without the variable, and for a single worker.

    Raises InputError, which says what is wrong with it.
    """
    text = environment.get(VARIABLE, "").strip()
    if not text:
        return None
    config = _object(text)
    if not config:
        return None
    jobs = _jobs(config)
    names = [(job, number) for job in JOBS for number in range(len(jobs.get(job, [])))]
    index = names.index(_task(config, jobs))
    addresses = [address for job in JOBS for address in jobs.get(job, [])]
    for number, address in enumerate(addresses):
        if address in addresses[:number]:
            raise InputError(
                f"{VARIABLE}: names {address} twice. Give each worker an address of its own."
            )
    return Cluster(tuple(addresses), index, tuple(names)) if len(addresses) > 1 else None


def _object(text: str) -> dict[str, Any]:
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{VARIABLE}: is not JSON ({reason(error)}). Write {EXAMPLE}.") from None
    if not isinstance(config, dict):
        raise InputError(f"{VARIABLE}: expected an object, found {reason(config)}. Write {EXAMPLE}.")
    return config


def _jobs(config: dict[str, Any]) -> dict[str, list[str]]:
    """Job -> the addresses of its workers."""
    cluster = config.get("cluster")
    if not isinstance(cluster, dict) or not cluster:
        raise InputError(f"{VARIABLE}: has no cluster. Write {EXAMPLE}.")
    for job, addresses in cluster.items():
        if job not in JOBS:
            raise InputError(
                f"{VARIABLE}: the cluster has the job {reason(job)}. Training has workers, of which one "
                "may be called chief."
            )
        if not isinstance(addresses, list) or not addresses:
            raise InputError(f"{VARIABLE}: expected a list of addresses for {job}. Write {EXAMPLE}.")
        for address in addresses:
            _check_address(address)
    if len(cluster.get("chief", [])) > 1:
        raise InputError(f"{VARIABLE}: has {len(cluster['chief'])} chiefs. Name one, or none.")
    return cluster


def _check_address(address: object) -> None:
    host, _, port = address.rpartition(":") if isinstance(address, str) else ("", "", "")
    if not host or not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        raise InputError(
            f"{VARIABLE}: {reason(address)} is not an address. Write HOST:PORT, such as 10.0.0.1:2222."
        )


def _task(config: dict[str, Any], jobs: dict[str, list[str]]) -> tuple[str, int]:
    """The job of this process, and its number there."""
    task = config.get("task")
    if not isinstance(task, dict) or not {"type", "index"} <= task.keys():
        raise InputError(
            f"{VARIABLE}: has no task with type and index, which tell the worker. Write {EXAMPLE}."
        )
    job, index = task["type"], task["index"]
    if not isinstance(job, str) or job not in jobs:
        raise InputError(
            f"{VARIABLE}: the task has type {reason(job)}, and the cluster has {' and '.join(jobs)}. "
            "Name one of these."
        )
    if isinstance(index, str) and index.isascii() and index.isdigit() and len(index) < 10:
        index = int(index)  # written by a shell
    if type(index) is not int or not 0 <= index < len(jobs[job]):
        raise InputError(
            f"{VARIABLE}: the task has index {reason(index)}, and the cluster has {len(jobs[job])} of "
            f"type {job}. Number them from 0."
        )
    return job, index
