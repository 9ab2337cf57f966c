"""One training step of the canonical model: edge-rnn train against PyTorch, and Keras's fit.

    python -m benchmarks.training
    python -m benchmarks.training --rounds 60

The model is an LSTM with 128 units and a Dense layer with 10 on windows of 28 steps and 28 features, in
float32, with a batch of 128, Adam and clipped gradients. Each way has a process of its own
(training_child.py) and two threads. Rounds of a few steps are interleaved, and a ratio is taken round by
round, so what slows the machine down for a while slows all of them.
"""

from __future__ import annotations

import statistics
from contextlib import ExitStack

import click

from benchmarks.cpu import cpu_name
from edge_runtime.bench.child_session import in_turns, start_session

THREADS = 2
WAYS = ("edge-rnn", "torch", "keras")


def quartiles(values: list[float]) -> str:
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


@click.command(help=__doc__)
@click.option("--rounds", default=40, show_default=True, help="Interleaved rounds.")
@click.option("--steps", default=20, show_default=True, help="Steps of each way in a round.")
def main(rounds: int, steps: int) -> None:
    with ExitStack() as stack:
        sessions = [
            stack.enter_context(
                start_session("benchmarks.training_child", way, {"way": way, "threads": THREADS})
            )
            for way in WAYS
        ]
        names = [session.facts["name"] for session in sessions]
        requests = [{"ask": "step", "steps": steps}] * len(sessions)
        times = [[value / 1e6 for value in found] for found in in_turns(sessions, rounds, requests)]
    print(f"{cpu_name()}; {THREADS} threads, {rounds} rounds of {steps} steps\n")
    print("| way | ms (quartiles) | ratio to PyTorch (quartiles) | fastest round, ms | ratio of these |")
    print("| --- | --- | --- | --- | --- |")
    torch = times[WAYS.index("torch")]
    for name, found in zip(names, times):
        ratio = quartiles([a / b for a, b in zip(found, torch)])
        fastest = min(found) / min(torch)
        print(f"| {name} | {quartiles(found)} | {ratio} | {min(found):.2f} | {fastest:.2f} |")


if __name__ == "__main__":
    main()
