"""How the workers of a training on several machines are named, meet, and learn that one has ended."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from edge_runtime.errors import DataError, InputError, WorkerError
from tests.support.commands import ROOT
from train.workers.cluster import Cluster, cluster_of
from train.workers.connection import LONGEST_MESSAGE
from train.workers.handshake import waiting_seconds
from train.workers.meeting import met

WORKERS = {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}
WHAT = {"data": "abc", "iterations": 30, "units": [4]}


def config(cluster: object = WORKERS, job: object = "worker", index: object = 0) -> dict:
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": job, "index": index}})}


def test_workers_are_numbered_from_the_chief():
    cluster = cluster_of(config(index=1))
    assert cluster.addresses == ("10.0.0.1:2222", "10.0.0.2:2222")
    assert (cluster.index, cluster.chief) == (1, False)
    cluster = cluster_of(config({"worker": ["b:2", "[::1]:3"], "chief": ["a:1"]}, "worker", 1))
    assert cluster.addresses == ("a:1", "b:2", "[::1]:3")
    assert cluster.jobs == (("chief", 0), ("worker", 0), ("worker", 1))
    assert cluster.index == 2
    assert cluster.host_and_port(2) == ("::1", 3)
    assert cluster.name(0) == "worker 0 (a:1)"


@pytest.mark.parametrize("environment", [{}, {"TF_CONFIG": " "}, {"TF_CONFIG": "{}"}])
def test_no_cluster(environment):
    assert cluster_of(environment) is None


def test_a_single_worker_is_no_cluster():
    assert cluster_of(config({"chief": ["a:1"]}, "chief")) is None


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"TF_CONFIG": "{'cluster'"}, "is not JSON (Expecting"),
        ({"TF_CONFIG": "[" * 100_000}, "is not JSON ("),
        ({"TF_CONFIG": "3"}, "expected an object, found 3."),
        ({"TF_CONFIG": '{"task": {"type": "worker", "index": 0}}'}, "has no cluster. Write"),
        (config({}), "has no cluster."),
        (config([]), "has no cluster."),
        (config({"ps": ["a:1"]}), "the cluster has the job ps. Training has workers"),
        (config({"worker": []}), "expected a list of addresses for worker."),
        (config({"worker": "a:1"}), "expected a list of addresses for worker."),
        (config({"worker": ["a"]}), "a is not an address. Write HOST:PORT"),
        (config({"worker": ["a:0"]}), "a:0 is not an address."),
        (config({"worker": ["a:65536"]}), "a:65536 is not an address."),
        (config({"worker": ["a:" + "1" * 9]}), "a:111111111 is not an address."),
        (config({"worker": [5]}), "5 is not an address."),
        (config({"worker": ["a:1", "a:1"]}), "names a:1 twice."),
        (config({"chief": ["a:1", "b:1"]}, "chief"), "has 2 chiefs. Name one, or none."),
        ({"TF_CONFIG": json.dumps({"cluster": WORKERS})}, "has no task with type and index"),
        (config(job="chief"), "the task has type chief, and the cluster has worker."),
        (config(job=["worker"]), "the task has type ['worker'], and the cluster has worker."),
        (config(index=2), "the task has index 2, and the cluster has 2 of type worker."),
        (config(index=-1), "the task has index -1"),
        (config(index=True), "the task has index True"),
        (config(index="x"), "the task has index x"),
    ],
)
def test_broken_variables_are_refused(environment, sentence):
    with pytest.raises(InputError) as caught:
        cluster_of(environment)
    assert str(caught.value).startswith(f"TF_CONFIG: {sentence}")


def test_how_long_to_wait():
    assert waiting_seconds({}) == 300
    assert waiting_seconds({"EDGE_RNN_WORKER_SECONDS": "1.5"}) == 1.5
    for text in ("x", "0", "-1", "nan", "inf"):
        with pytest.raises(InputError, match=r"EDGE_RNN_WORKER_SECONDS: expected a number of seconds"):
            waiting_seconds({"EDGE_RNN_WORKER_SECONDS": text})


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def clusters(count: int) -> list[Cluster]:
    addresses = tuple(f"127.0.0.1:{port}" for port in free_ports(count))
    jobs = tuple(("worker", index) for index in range(count))
    return [Cluster(addresses, index, jobs) for index in range(count)]


def together(workers: list[Cluster], folder, body, whats=None, seconds: float = 20) -> list:
    """Each worker in a thread of its own: what `body(meeting)` returns, or the exception."""

    def work(cluster: Cluster):
        what = whats[cluster.index] if whats else WHAT
        try:
            with met(cluster, what, folder / str(cluster.index), seconds) as meeting:
                return body(meeting)
        except BaseException as error:
            return error

    with ThreadPoolExecutor(len(workers)) as pool:
        return list(pool.map(work, workers))


def test_workers_meet_and_get_the_checkpoint_of_the_chief(tmp_path):
    content = bytes(range(256)) * 20_000
    (tmp_path / "0").write_bytes(content)
    (tmp_path / "2").write_bytes(b"another one")
    assert together(clusters(3), tmp_path, lambda meeting: meeting.lost(0)) == ["", "", ""]
    assert [(tmp_path / str(index)).read_bytes() == content for index in range(3)] == [True] * 3


def test_without_a_checkpoint_of_the_chief_nobody_has_one(tmp_path):
    (tmp_path / "1").write_bytes(b"left over")
    assert together(clusters(2), tmp_path, lambda meeting: "trained") == ["trained", "trained"]
    assert list(tmp_path.iterdir()) == []


def test_others_wait_until_the_chief_has_written_the_run(tmp_path):
    written = []

    def body(meeting):
        if meeting.cluster.chief:
            time.sleep(0.5)
            written.append("run")

    pair = clusters(2)
    chief = threading.Thread(target=together, args=([pair[0]], tmp_path, body))
    chief.start()
    assert together([pair[1]], tmp_path, body) == [None]
    assert written == ["run"]
    chief.join()


def test_the_port_is_free_again_while_workers_are_connected(tmp_path):
    def body(meeting):
        address = meeting.cluster.host_and_port(meeting.cluster.index)
        with socket.create_server(address):
            meeting.lost(0.5)
        return "listened"

    assert together(clusters(2), tmp_path, body) == ["listened", "listened"]


def test_a_failure_of_one_is_told_to_all(tmp_path):
    workers = clusters(3)

    def body(meeting):
        if meeting.cluster.index == 2:
            raise DataError("runs/a: no space left.")
        raise WorkerError(meeting.lost(20))

    expected = f"TF_CONFIG: worker 2 ({workers[2].addresses[2]}) has ended: runs/a: no space left."
    results = together(workers, tmp_path, body)
    assert [str(each) for each in results] == [expected, expected, "runs/a: no space left."]


def test_what_only_the_chief_does_may_fail(tmp_path):
    def body(meeting):
        if meeting.cluster.chief:
            time.sleep(0.3)
            raise DataError("runs/a: no space left.")

    chief, other = together(clusters(2), tmp_path, body)
    assert isinstance(other, WorkerError)
    assert str(other).endswith("has ended: runs/a: no space left.")
    assert isinstance(chief, DataError)


KILLED = """
import sys, time
from pathlib import Path
from train.workers.cluster import Cluster
from train.workers.meeting import met
addresses, index = tuple(sys.argv[1].split(",")), int(sys.argv[2])
with met(Cluster(addresses, index, tuple(("worker", n) for n in range(3))), {}, Path(sys.argv[3]), 20):
    print("met", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_worker_is_named_by_all(tmp_path, victim):
    workers = clusters(3)
    command = [
        sys.executable,
        "-c",
        KILLED,
        ",".join(workers[0].addresses),
        str(victim),
        str(tmp_path / "x"),
    ]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:

        def body(meeting):
            if meeting.cluster.index == 2:
                assert process.stdout.readline() == b"met\n"
                process.kill()
            raise WorkerError(meeting.lost(20))

        survivors = [worker for worker in workers if worker.index != victim]
        results = together(survivors, tmp_path, body, whats=[{}, {}, {}])
    name = f"worker {victim} ({workers[0].addresses[victim]})"
    for error in results:
        assert str(error).startswith(f"TF_CONFIG: {name} has ended. Start the training again")
        assert error.exit_code == 1


@pytest.mark.parametrize(
    ("theirs", "difference"),
    [
        ({**WHAT, "iterations": 40}, "has iterations 30, and {} has 40."),
        ({"data": "abc", "iterations": 30}, "has units [4], and {} has None."),
        ({**WHAT, "dropout": 0.5}, "has dropout None, and {} has 0.5."),
    ],
)
def test_workers_that_disagree(tmp_path, theirs, difference):
    pair = clusters(2)
    chief, other = together(pair, tmp_path, lambda meeting: None, whats=[WHAT, theirs])
    assert isinstance(chief, InputError)
    assert isinstance(other, WorkerError)
    expected = difference.format(f"worker 1 ({pair[1].addresses[1]})")
    for error in (chief, other):
        assert str(error) == (
            f"TF_CONFIG: worker 0 ({pair[0].addresses[0]}) {expected} All workers need the same "
            "data and settings."
        )


def test_workers_that_never_come(tmp_path, capfd):
    (chief,) = together(clusters(3)[:1], tmp_path, lambda meeting: None, seconds=0.5)
    assert isinstance(chief, WorkerError)
    assert "no answer from worker 1 (127.0.0.1:" in str(chief)
    assert " and worker 2 (127.0.0.1:" in str(chief)
    (other,) = together(clusters(2)[1:], tmp_path, lambda meeting: None, seconds=0.5)
    assert "no answer from worker 0 (127.0.0.1:" in str(other)
    assert "waiting for worker 0 (127.0.0.1:" in capfd.readouterr().err


def test_a_chief_that_gives_up_says_so(tmp_path):
    workers = clusters(3)
    chief, other = together(workers[:2], tmp_path, lambda meeting: None, seconds=1.5)
    assert str(chief) == str(other)
    assert f"no answer from worker 2 ({workers[2].addresses[2]}) in 1.5 seconds" in str(chief)


@pytest.mark.parametrize("index", [0, 1])
def test_a_port_in_use(tmp_path, index):
    worker = clusters(2)[index]
    with socket.create_server(worker.host_and_port(index)):
        (error,) = together([worker], tmp_path, lambda meeting: None)
    assert isinstance(error, InputError)
    assert str(error).startswith(
        f"TF_CONFIG: cannot listen on the port of {worker.name(index)} (Address already in use)."
    )


def test_strangers_at_the_port_are_ignored(tmp_path):
    pair = clusters(2)
    chief = threading.Thread(target=together, args=([pair[0]], tmp_path, lambda meeting: None))
    chief.start()
    for text in (
        b"GET / HTTP/1.1\r\n\r\n",
        b'{"edge-rnn": true, "worker": 7}\n',
        b"[" * 100_000 + b"\n",
    ):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                with socket.create_connection(pair[0].host_and_port(0)) as stranger:
                    stranger.sendall(text)
                break
            except OSError:
                time.sleep(0.05)
    assert together([pair[1]], tmp_path, lambda meeting: "trained") == ["trained"]
    chief.join()


def test_an_answer_that_is_too_long_is_refused(tmp_path):
    other = clusters(2)[1]
    with socket.create_server(other.host_and_port(0)) as false_chief:

        def answer():
            peer, _ = false_chief.accept()
            with peer:
                peer.recv(1000)
                peer.sendall(b"x" * (2 * LONGEST_MESSAGE))

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        (error,) = together([replace(other)], tmp_path, lambda meeting: None)
    assert isinstance(error, WorkerError)
