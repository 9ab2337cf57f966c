"""Trainings of two workers on this machine, started in forks of a process that has loaded TensorFlow.

Arguments: a folder and the settings of `edge-rnn train`. Trains alone, with two workers, and with two
workers of which number VICTIM is killed after the first report and which are then resumed. The folder
then has the runs `alone`, `whole` and `cut`, what each process printed, and `endings.json`: name of the
process -> its exit code as subprocess has it.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import socket
import sys
import time
from pathlib import Path

FOLDER, VICTIM, SETTINGS = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
SECONDS = 300


def addresses() -> list[str]:
    """Two that are free."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    found = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    return found


def started(name: str, arguments: list[str], config: dict | None = None) -> int:
    """The process ID of `edge-rnn train`, which prints into the file `name`.log."""
    process = os.fork()
    if process:
        return process
    signal.alarm(SECONDS)
    output = os.open(FOLDER / f"{name}.log", os.O_CREAT | os.O_WRONLY)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.environ.pop("TF_CONFIG", None)
    if config:
        os.environ["TF_CONFIG"] = json.dumps(config)
    sys.argv = ["edge-rnn", "train", *arguments, *SETTINGS]
    runpy.run_path(str(Path(sys.executable).with_name("edge-rnn")), run_name="__main__")
    raise AssertionError("edge-rnn returned")


def pair(name: str, *options: str) -> list[int]:
    """Both workers of the run `name`. The second one gets an --out that nobody may write."""
    cluster, out = {"worker": addresses()}, [FOLDER / name, FOLDER / "nobody"]
    return [
        started(
            f"{name}-{index}{''.join(options)}",
            ["--out", str(out[index]), *options],
            {"cluster": cluster, "task": {"type": "worker", "index": index}},
        )
        for index in range(2)
    ]


def ending(process: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def reported(log: Path) -> bool:
    return log.exists() and "iterations: loss" in log.read_text()


def main() -> None:
    endings = {"alone": ending(started("alone", ["--out", str(FOLDER / "alone")]))}
    endings["whole"] = [ending(process) for process in pair("whole")]
    processes, deadline = pair("cut"), time.monotonic() + SECONDS
    while not reported(FOLDER / "cut-0.log") and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(processes[VICTIM], signal.SIGKILL)
    endings["cut"] = [ending(process) for process in processes]
    endings["resumed"] = [ending(process) for process in pair("cut", "--resume")]
    (FOLDER / "endings.json").write_text(json.dumps(endings))


main()
