"""The procedure of `edge-rnn bench`: cold starts, latency, profile and throughput of one model or two.

Two models take turns in everything, in short rounds. Whatever slows the machine down for a while slows
both, and their ratio is taken round by round.
"""

from __future__ import annotations

import math
import platform
import statistics
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, Callable

from edge_runtime.bench.child_session import Session, in_turns, open_session
from edge_runtime.bench.machine_state import read_machine_state
from edge_runtime.bench.report import (
    BenchReport,
    ColdStart,
    Latency,
    ModelBench,
    OperatorTime,
    Ratio,
    Throughput,
)
from edge_runtime.engines.engine import OWN_ENGINES
from edge_runtime.errors import InputError

COLD_STARTS = 5
ROUND_SECONDS = 0.05
"""Duration of one model's turn: long enough for hundreds of runs, or for a few of a slow model."""
FEWEST_ROUNDS = 5
BATCH_ROUNDS = 5
BATCH_SECONDS = 0.05
"""Approximate duration of a batch."""
LARGEST_BATCH = 4096
"""Limit on the windows of a batch; more would only take memory."""

Figures = dict[str, Any]
Opener = Callable[..., AbstractContextManager[Session]]


def bench_model(
    model: str | Path,
    *,
    compare: str | Path | None = None,
    seconds: float = 2.0,
    source: str | Path | None = None,
    engine: str = "auto",
    threads: int = 1,
    shared_weights: bool = False,
    trust: bool = False,
) -> BenchReport:
    """Measure a model file: cold start, latency, throughput and memory.

    Example:
        from edge_runtime import bench_model

        print(bench_model("model.tflite", seconds=0.5))

    Args:
        model: A file written by `edge-rnn convert`.
        compare: Another file, measured in turns with the first.
        seconds: Approximate duration of each measurement, above 0.
        source: A file of raw windows, as `edge-rnn predict` reads it. By default the windows are random,
            in the unit of the training data.
        engine: As for Classifier.
        threads: Number of threads of a TFLite engine. Throughput is measured for other numbers as well.
        shared_weights: As for Classifier.
        trust: As for Classifier.

    Raises:
        InputError: `seconds` is not above 0, or `source` cannot be used.
        DataError: `source` is a damaged IDX file.
        ModelError: As Classifier.
        EngineError: As Classifier.
    """
    if not 0 < seconds < math.inf:
        raise InputError(f"--seconds: expected a number above 0, found {seconds}.")
    models = [str(model), *([] if compare is None else [str(compare)])]
    options = {"engine": engine, "shared_weights": shared_weights, "trust": trust}

    def opener(path: str, threads: int = threads, jobs: int = 1) -> AbstractContextManager[Session]:
        where = None if source is None else str(source)
        return open_session(path, source=where, jobs=jobs, options={**options, "threads": threads})

    before = read_machine_state()
    starts = cold_starts(models, opener)
    latencies, ratio, profiles = steady(models, seconds, opener)
    facts = starts[0][0]
    tried = threads_and_jobs(facts["engine"], before.cores)
    throughputs = all_throughputs(models, seconds, opener, latencies, tried)
    return BenchReport(
        engine=facts["engine"],
        version=facts["version"],
        kernels=facts["kernels"],
        numpy=facts["numpy"],
        python=platform.python_version(),
        threads=threads,
        shared_weights=shared_weights,
        machine=before,
        machine_after=read_machine_state(),
        models=tuple(map(_model_bench, models, starts, latencies, profiles, throughputs)),
        ratio=ratio,
    )


def cold_starts(models: Sequence[str], opener: Opener) -> list[list[Figures]]:
    """The first answers of COLD_STARTS processes for each model."""
    found: list[list[Figures]] = [[] for _ in models]
    for _ in range(COLD_STARTS):
        for path, facts in zip(models, found):
            with opener(path) as session:
                facts.append(session.facts)
    return found


def steady(
    models: Sequence[str], seconds: float, opener: Opener
) -> tuple[list[Latency], Ratio | None, list[Any]]:
    """Latency of each model after its warm-up, the ratio of two, and each one's profile."""
    with ExitStack() as stack:
        sessions = [stack.enter_context(opener(path)) for path in models]
        warm_ups = [session.ask({"ask": "warm_up", "seconds": seconds}) for session in sessions]
        share = min(ROUND_SECONDS, seconds / FEWEST_ROUNDS)
        request = {"ask": "latency", "seconds": share}
        rounds = in_turns(sessions, round(seconds / share), [request] * len(sessions))
        latencies = list(map(_latency, rounds, warm_ups))
        profiles = [session.ask({"ask": "profile", "seconds": seconds}) for session in sessions]
        return latencies, latency_ratio(rounds), profiles


def _latency(rounds: list[list[int]], warm_up: Figures) -> Latency:
    times = [time / 1e3 for part in rounds for time in part]
    percentiles = statistics.quantiles(times, n=100, method="inclusive")
    return Latency(
        p50=percentiles[49],
        p90=percentiles[89],
        p99=percentiles[98],
        runs=len(times),
        warm_up_runs=warm_up["runs"],
        warm_up_ms=warm_up["nanoseconds"] / 1e6,
    )


def latency_ratio(rounds: list[list[list[int]]]) -> Ratio | None:
    """Ratio of the first model to the second, from their times round by round; None for one model."""
    if len(rounds) != 2:
        return None
    pairs = [statistics.median(one) / statistics.median(other) for one, other in zip(*rounds)]
    lower, median, upper = statistics.quantiles(pairs, n=4, method="inclusive")
    return Ratio(median, lower, upper, len(pairs))


def threads_and_jobs(engine: str, cores: int) -> list[tuple[int, int]]:
    """Threads and jobs to try: powers of two up to the number of cores, one of the two at a time."""
    more = [2**k for k in range(1, cores.bit_length()) if 2**k < cores] + [cores] * (cores > 1)
    threads = [] if engine in OWN_ENGINES else [(count, 1) for count in more]  # those have one thread
    return [(1, 1), *threads, *((1, count) for count in more)]


def all_throughputs(
    models: Sequence[str],
    seconds: float,
    opener: Opener,
    latencies: Sequence[Latency],
    tried: Sequence[tuple[int, int]],
) -> list[list[Throughput]]:
    """Each model's windows per second with each of `tried`, threads and jobs."""
    found: list[list[Throughput]] = [[] for _ in models]
    batches = [_batch(latency) for latency in latencies]
    for threads, jobs in tried:
        with ExitStack() as stack:
            sessions = [stack.enter_context(opener(path, threads, jobs)) for path in models]
            share = {"ask": "throughput", "seconds": seconds / BATCH_ROUNDS}
            requests = [{**share, "windows": jobs * batch} for batch in batches]
            answers = in_turns(sessions, BATCH_ROUNDS, requests)
        for rounds, throughputs in zip(answers, found):
            rates = [1e9 * answer["windows"] / answer["nanoseconds"] for answer in rounds]
            throughputs.append(Throughput(threads, jobs, statistics.median(rates)))
    return found


def _batch(latency: Latency) -> int:
    return min(LARGEST_BATCH, max(1, round(BATCH_SECONDS * 1e6 / latency.p50)))


def _model_bench(
    path: str, starts: list[Figures], latency: Latency, profile: Any, throughput: list[Throughput]
) -> ModelBench:
    facts = starts[0]
    note = profile if isinstance(profile, str) else ""
    peaks = [item["peak_bytes"] for item in starts]
    return ModelBench(
        model=path,
        precision=facts["precision"],
        graph=facts["graph"],
        steps=facts["steps"],
        features=facts["features"],
        classes=facts["classes"],
        task=facts["task"],
        file_bytes=Path(path).stat().st_size,
        cold_start=_cold_start([item["cold"] for item in starts]),
        peak_bytes=None if None in peaks else max(peaks),
        latency=latency,
        throughput=tuple(throughput),
        profile=() if note else tuple(OperatorTime(**item) for item in profile),
        profile_note=note,
    )


def _cold_start(stages: list[dict[str, int]]) -> ColdStart:
    """`stages`: the nanoseconds of each stage in each process."""
    medians = {name: statistics.median(item[name] for item in stages) / 1e6 for name in stages[0]}
    total = statistics.median(sum(item.values()) for item in stages) / 1e6
    return ColdStart(**medians, total=total, processes=len(stages))
