"""Time per window of every precision and of other engines and converters, on the same trained network.

    python -m benchmarks.latency runs/mnist [--rounds 100] [--runs 100] [--only int8 dynamic]

Prints Markdown. Each candidate has a process of its own with one thread. All run on one core in
interleaved rounds (interleaved.py). Median and p99 are over all runs. A run takes a window of the
input's type and ends with the logits as an array. The ratios are medians over the rounds of each round's
own ratio. The agreement is how often the candidate gives the full model's class on 200 windows of the
test split, in the process that is timed.

Ours run as edge_runtime runs them, the peers in the fastest way that their engine offers
(timed_child.py). The engine native runs with the kernels that it takes by itself, and then with each
other kind that this CPU has.
Peers: the stock converter's fused LSTM with dynamic int8 weights and Keras's own unrolling in int8,
ONNX Runtime float32 and dynamic int8, PyTorch float32 and dynamic int8 (peers.py makes the files).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.cpu import cpu_name
from benchmarks.goals import Goal, print_goals
from benchmarks.interleaved import Candidate, Timing, measure
from benchmarks.timed_child import NATIVE, SHARED, installed, native_engines, native_kernels
from convert.options import ConversionOptions
from convert.pipeline import convert_source
from convert.readers.run_directory import open_run
from convert.source_model.source_model import SourceModel
from convert.targets.precision import offered
from convert.targets.target import TARGETS
from edge_runtime.engines.engine import ENGINES
from edge_runtime.errors import EdgeRnnError
from edge_runtime.host.child_process import run_module
from edge_runtime.model_file.read_file import read_model

CHECKED_WINDOWS = 200
NEWER = "litert-2.1"
"""The target of the files that `any` does not have: int4, and dynamic with a scale per row."""

ORT_FLOAT32, ORT_INT8 = "ONNX Runtime float32", "ONNX Runtime dynamic int8"

PEERS = (
    ("fused LSTM, stock converter, dynamic int8", "fused", ("ai-edge-litert", "tflite-runtime")),
    ("Keras unroll=True, stock converter, int8", "unrolled-int8", ("ai-edge-litert", "tflite-runtime")),
    (ORT_FLOAT32, "onnx-float32", ("onnxruntime",)),
    (ORT_INT8, "onnx-dynamic-int8", ("onnxruntime",)),
    ("PyTorch nn.LSTM float32", "torch", ("torch",)),
    ("PyTorch nn.LSTM dynamic int8", "torch", ("torch-dynamic-int8",)),
)
"""Name, kind in peers.py, engines."""


GOALS = (
    ("int8", NATIVE, "avx512-vnni", ORT_INT8, 0.42),
    ("int8", f"{NATIVE}, avx2", "avx2", ORT_INT8, 0.9),
    ("float32", NATIVE, None, ORT_FLOAT32, 0.95),
    ("dynamic", NATIVE, None, ORT_INT8, 0.6),
)
"""Precision, engine, the kernels that the goal is for, peer, the largest share of the peer's time."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--runs", type=int, default=100, help="of each candidate in each round")
    add_filter(parser)
    options = parser.parse_args()
    source = open_run(options.run)
    windows = source.normalization.apply(source.held_out.x[:CHECKED_WINDOWS])
    with tempfile.TemporaryDirectory() as folder:
        ours, notes = our_candidates(source, Path(folder))
        peers, more_notes = peer_candidates(options.run, Path(folder))
        candidates = wanted([*ours, *peers], options.only)
        timings = measure(candidates, windows, options.rounds, options.runs)
        print(f"CPU: {cpu_name()}. {options.rounds * options.runs:,} runs of each candidate.\n")
        table(timings, source.logits[:CHECKED_WINDOWS])
    print("".join(f"\n- {note}" for note in (*notes, *more_notes)))
    verdict(timings, {candidate.name for candidate in ours})
    print_goals(goals_of(timings))


def add_filter(parser: argparse.ArgumentParser) -> None:
    """Add the option --only, for `wanted`."""
    parser.add_argument("--only", nargs="+", help="precisions, besides other runtimes and converters")


def wanted(candidates: list[Candidate], precisions: list[str] | None) -> list[Candidate]:
    """The candidates of these precisions and those that are not ours; all of them for None."""
    ours = {*offered(TARGETS["any"]), *offered(TARGETS[NEWER])}
    kept = (ours if precisions is None else set(precisions)) | {name for name, *_ in PEERS}
    return [
        item for item in candidates if item.name in kept or item.name.partition(", target")[0] in kept
    ]


def our_candidates(source: SourceModel, folder: Path) -> tuple[list[Candidate], list[str]]:
    """Our files in every engine of their target, and notes on those that could not be made."""
    newer = [name for name in offered(TARGETS[NEWER]) if name in ("dynamic", "int4")]
    native = native_engines()
    plan = [(name, "any", (*native, *ENGINES)) for name in offered(TARGETS["any"])]
    plan += [(name, NEWER, (*native, "ai-edge-litert")) for name in newer]
    candidates, notes = [], []
    for precision, target, engines in plan:
        name = precision if target == "any" else f"{precision}, target {target}"
        file = folder / f"{precision}-{target}.tflite"
        result = convert_source(
            source, file, precision=precision, options=ConversionOptions(target=TARGETS[target])
        )
        if not result:
            notes.append(result.refusal)
            continue
        if read_model(file)[1].shared_weights:
            engines = (*engines, SHARED)
        candidates += [Candidate(name, engine, file) for engine in engines if installed(engine)]
    return candidates, notes


def peer_candidates(run: str, folder: Path) -> tuple[list[Candidate], list[str]]:
    """The peers whose packages are installed, and a note on each of the others."""
    candidates, notes = [], []
    for name, kind, engines in PEERS:
        found = [engine for engine in engines if installed(engine)]
        if not found:
            notes.append(f"{name}: skipped, {engines[0]} is not installed")
            continue
        file = folder / f"{kind}.model"
        failure = None if file.exists() else make_peer(kind, run, file)
        if failure:
            notes.append(f"{name}: skipped, {failure}")
            continue
        candidates += [Candidate(name, engine, file, any_way=True) for engine in found]
    return candidates, notes


def make_peer(kind: str, run: str, file: Path) -> str | None:
    """Make the file in a process of its own. Returns the reason if that failed."""
    ending = run_module("benchmarks.peers", kind, run, str(file))
    if ending:
        return None
    return f"its converter crashed ({ending.signal})" if ending.signal else str(ending)


def table(timings: list[Timing], full: np.ndarray) -> None:
    ort = {name: found(timings, name) for name in (ORT_INT8, ORT_FLOAT32)}
    print(
        "| candidate | engine | file bytes | median us | p99 us | of ORT int8 | of ORT float32 ", end=""
    )
    print("| agreement |\n| --- | --- | --- | --- | --- | --- | --- | --- |")
    for timing in timings:
        candidate = timing.candidate
        start = f"| {candidate.name} | {engine_name(timing)} | {candidate.file.stat().st_size:,} "
        if timing.failure:
            print(f"{start}| {timing.failure[:90]} | | | | |")
            continue
        ratios = [f"{timing.ratio_to(other):.2f}" if other else "" for other in ort.values()]
        share = (timing.logits.argmax(axis=1) == full.argmax(axis=1)).mean()
        print(
            f"{start}| {timing.median:.1f} | {timing.p99:.1f} | {ratios[0]} | {ratios[1]} "
            f"| {100 * share:.1f} %{'' if share > 0.9 else ': wrong'} |"
        )


def engine_name(timing: Timing) -> str:
    engine = timing.candidate.engine
    told = timing.way in ("", "default", "shared-weights") or engine.endswith(f", {timing.way}")
    way = "" if told else f" ({timing.way})"
    return f"{engine.replace('-dynamic-int8', '')}{way}"


def found(timings: list[Timing], name: str) -> Timing | None:
    """The candidate of that name, if it ran."""
    return next((item for item in timings if item.candidate.name == name and not item.failure), None)


def verdict(timings: list[Timing], ours: set[str]) -> None:
    """Our fastest, and for each peer which of our precisions, each in its faster engine, are slower."""
    ran = [timing for timing in timings if not timing.failure]
    own: dict[str, Timing] = {}
    for timing in sorted(ran, key=lambda item: -item.median):
        if timing.candidate.name in ours:
            own[timing.candidate.name] = timing
    print(f"- Our fastest: {title(min(own.values(), key=lambda item: item.median))}.")
    for peer in ran:
        if peer.candidate.name in ours:
            continue
        ratios = {name: timing.ratio_to(peer) for name, timing in own.items()}
        slower = [f"{name} ({ratio:.2f})" for name, ratio in ratios.items() if ratio > 1]
        print(f"- Slower than {title(peer)}: {', '.join(slower) or 'none of ours'}.")


def goals_of(timings: list[Timing]) -> list[Goal]:
    """The goals of the engine native that this CPU can show."""
    goals = []
    for precision, engine, kernels, peer, limit in GOALS:
        ours = [t for t in timings if (t.candidate.name, t.candidate.engine) == (precision, engine)]
        theirs = found(timings, peer)
        ran = [timing for timing in ours if not timing.failure]
        default = native_kernels()[:1]
        if not ran or not theirs or (engine == NATIVE and kernels and default != (kernels,)):
            continue
        goals.append(Goal(f"{precision} in {engine}, of {peer}", ran[0].ratio_to(theirs), limit))
    return goals


def title(timing: Timing) -> str:
    return f"{timing.candidate.name} in {timing.candidate.engine}"


if __name__ == "__main__":
    try:
        main()
    except EdgeRnnError as error:
        sys.exit(f"Error: {error}")
