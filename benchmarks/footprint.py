"""What our runtime costs beside a bare interpreter, ONNX Runtime and TensorFlow.

    python -m benchmarks.footprint runs/mnist [--cold-rounds 15] [--rounds 40] [--runs 50]
        [--without tensorflow]

Prints Markdown. The columns are:

- Installed: the size of site-packages in an environment with that runtime only, less an empty one's
  (footprint_environments.py). Our wheel is installed as users install it.
- Cold start: the time from the start of the process to its first line, the answer for one window, and
  the peak memory of that process (first_answer.py).
- Of bare: the ratio to the bare script of the same engine (benchmarks/bare), for native and numpy that
  of ai-edge-litert. It is the median over the rounds of each round's own ratio.
- Latency: one window in, the answer out, in processes of this environment, on one core, interleaved
  (interleaved.py).

A second table shows what Classifier adds to set, invoke and get, in one process (overhead_child.py). The
windows of RUN have to be pixels, as the scripts divide by 255.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from benchmarks.cpu import cpu_name
from benchmarks.footprint_environments import Environment, build_wheel, environment, without_this_python
from benchmarks.goals import Goal, print_goals
from benchmarks.interleaved import Candidate, Timing, measure
from benchmarks.latency import make_peer
from benchmarks.timed_child import NATIVE, OURS, SHARED, installed
from edge_runtime.engines.engine import ENGINES, NUMPY
from edge_runtime.errors import DataError, EdgeRnnError, EngineError
from edge_runtime.host.child_process import module_command, run_module
from edge_runtime.model_file.normalization import Normalization
from edge_runtime.runs.run_directory import Run

HERE = Path(__file__).parent
PIXELS = Normalization((0.0,), (255.0,), "uint8")
TIMED_WINDOWS = 200
TENSORFLOW_ROUNDS = 5
"""Its cold start takes seconds."""
LITERT = "ai-edge-litert"
PEERS = {"onnxruntime": "onnx", "tensorflow": "keras"}
"""Other runtimes -> the key of their model in `make_files`."""


@dataclass(frozen=True)
class Limits:
    """The project's goals for an engine."""

    cold: float
    """Of the bare script's cold start."""
    peak: float
    """Of its peak memory."""
    predict: float
    """Microseconds that predict() adds to the engine's own calls."""
    logits: float


NATIVE_LIMITS, LIMITS = Limits(0.9, 0.85, 4, 2), Limits(1.25, 1.1, 10, 3)
"""For native, beside ai-edge-litert's bare script, and for a TFLite engine beside its own."""
RUNTIMES = {
    "tflite-runtime": ["tflite-runtime==2.14.0", "numpy<2"],
    "ai-edge-litert": ["ai-edge-litert>=2.1,<3", "numpy"],
    NATIVE: ["numpy"],
    NUMPY: ["numpy"],
    "onnxruntime": ["onnxruntime", "numpy"],
    "tensorflow": ["tensorflow>=2.21,<2.22"],
}


@dataclass(frozen=True)
class Contestant:
    """A row of the table."""

    name: str
    environment: Environment
    command: list[str]
    candidate: Candidate
    bare: str | None = None
    """The name of the row it is compared with."""
    limits: Limits | None = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--precision", default="int8", help="of our files in the first table")
    parser.add_argument("--cold-rounds", type=int, default=15)
    parser.add_argument("--rounds", type=int, default=40, help="of the latencies")
    parser.add_argument("--runs", type=int, default=50, help="of each row in each round")
    parser.add_argument("--without", nargs="+", default=[], choices=PEERS, help="leave out their rows")
    options = parser.parse_args()
    run = Run.open(options.run)
    if run.record.normalization != PIXELS:
        raise DataError(f"{options.run}: not divided by 255, as the bare scripts do.")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = make_files(options.run, run, options.precision, folder)
        entries = contestants(files, options.precision, folder, without=options.without)
        cold = cold_starts(entries, options.cold_rounds)
        windows = PIXELS.apply(np.load(files["windows"]))
        candidates = [entry.candidate for entry in entries]
        timings = measure(candidates, windows, options.rounds, options.runs)
        overheads = {
            (engine, precision): overhead(files[precision], files["windows"], engine)
            for engine in our_engines()
            for precision in dict.fromkeys(("int8", "float32", options.precision))
        }
        empty = environment(cache("empty"), [])
        print(
            f"CPU: {cpu_name()}. Python {sys.version.split()[0]}. TFLite models: {options.precision}.\n"
        )
        print_footprint(entries, cold, timings, empty)
    print_overheads(overheads)
    print_goals(cold_goals(entries, cold) + overhead_goals(overheads))


def our_engines() -> tuple[str, ...]:
    """The engines whose speed matters: native, if its library is here, and the TFLite engines."""
    return (*((NATIVE,) if installed(NATIVE) else ()), *ENGINES)


def make_files(path: str, run: Run, precision: str, folder: Path) -> dict[str, Path]:
    """Our files, the peers' and the windows."""
    files = {}
    for name in dict.fromkeys(("int8", "float32", precision)):
        files[name] = folder / f"{name}.tflite"
        options = ["--precision", name, "--out", str(files[name])]
        ending = run_module("edge_runtime", "convert", path, *options)
        if not ending:
            raise DataError(f"{path}: cannot be converted to {name}. {ending}")
    files["onnx"] = folder / "model.onnx"
    failure = make_peer("onnx-float32", path, files["onnx"])
    if failure:
        raise DataError(f"{path}: no ONNX file: {failure}")
    files["keras"] = run.model.absolute()
    windows = run.test_windows().x[:TIMED_WINDOWS]
    for name, array in (("windows", windows), ("window", windows[0])):
        files[name] = folder / f"{name}.npy"
        np.save(files[name], array)
    return files


def contestants(
    files: dict[str, Path], precision: str, folder: Path, *, without: list[str]
) -> list[Contestant]:
    """All rows but those of the peers in `without`, with their environments made."""
    wheel, model, window = build_wheel(folder), files[precision], str(files["window"])
    rows = []
    for engine in (*our_engines(), NUMPY):
        place = environment(cache(f"edge-rnn-{engine}"), [*RUNTIMES[engine], "click>=8.1"], wheel)
        # Without --engine where that is what a user types: native comes first by itself.
        options = [] if engine == NATIVE else ["--engine", engine]
        command = [place.program("edge-rnn"), "predict", str(model), window, *options]
        bare = f"bare script, {engine if engine in ENGINES else LITERT}"
        limits = {NATIVE: NATIVE_LIMITS, NUMPY: None}.get(engine, LIMITS)
        ours = Candidate("", OURS + engine, model)
        rows.append(Contestant(f"edge-rnn predict, {engine}", place, command, ours, bare, limits))
        if engine == LITERT:
            command = [*command, "--shared-weights"]
            ours = Candidate("", OURS + SHARED, model)
            name = f"edge-rnn predict --shared-weights, {engine}"
            rows.append(Contestant(name, place, command, ours, bare))
    peers = [(engine, model, f"bare script, {engine}") for engine in ENGINES]
    others = {name: (files[kind], f"script, {name}, float32") for name, kind in PEERS.items()}
    peers += [(name, *found) for name, found in others.items() if name not in without]
    for engine, file, name in peers:
        place = environment(cache(f"bare-{engine}"), RUNTIMES[engine])
        script = HERE / "bare" / f"{engine.replace('-', '_')}_bare.py"
        command = [place.program("python"), str(script), str(file), window]
        rows.append(Contestant(name, place, command, Candidate("", engine, file)))
    return rows


def cache(name: str) -> Path:
    """The folder of an environment."""
    return Path(platformdirs.user_cache_dir("edge-rnn")) / "footprint" / name


def cold_starts(entries: list[Contestant], rounds: int) -> dict[str, list[dict[str, Any]]]:
    """The results of first_answer.py for each row. Raises EngineError if the answers differ."""
    slow = {entry.name for entry in entries if "tensorflow" in entry.name}
    request = {
        "commands": {entry.name: entry.command for entry in entries},
        "rounds": {
            e.name: min(rounds, TENSORFLOW_ROUNDS) if e.name in slow else rounds for e in entries
        },
    }
    printed = subprocess.run(
        module_command("benchmarks.first_answer"),
        input=json.dumps(request),
        capture_output=True,
        text=True,
        env={**without_this_python(), "TF_CPP_MIN_LOG_LEVEL": "3"},
        check=False,
    )
    if printed.returncode:
        raise DataError(printed.stderr.strip())
    found: dict[str, list[dict[str, Any]]] = json.loads(printed.stdout)
    classes = {name: answered_class(items[0]["line"]) for name, items in found.items()}
    if len(set(classes.values())) != 1:
        raise DataError(f"the answers differ: {classes}")
    return found


def answered_class(line: str) -> str:
    """`window.npy: 7 (100.0 %)` or `7` to `7`."""
    return line.rpartition(": ")[2].split()[0]


def overhead(model: Path, windows: Path, engine: str) -> dict[str, float]:
    """The object that overhead_child.py prints."""
    ending = run_module("benchmarks.overhead_child", str(model), str(windows), engine)
    if not ending:
        raise EngineError(f"{engine}: {ending}")
    result: dict[str, float] = json.loads(ending.output)
    return result


def ratio(cold: dict[str, list[dict[str, Any]]], entry: Contestant, key: str) -> float:
    """The ratio to the bare script: the median over the rounds of each round's own ratio."""
    assert entry.bare is not None
    pairs = zip(cold[entry.name], cold[entry.bare])
    return statistics.median(ours[key] / bare[key] for ours, bare in pairs)


def print_footprint(
    entries: list[Contestant],
    cold: dict[str, list[dict[str, Any]]],
    timings: list[Timing],
    empty: Environment,
) -> None:
    print("| | installed MB | cold start ms | of bare | peak MB | of bare | p50 us | p99 us |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for entry, timing in zip(entries, timings):
        megabytes = (entry.environment.site_bytes - empty.site_bytes) / 1e6
        start = statistics.median(item["ms"] for item in cold[entry.name])
        peak = statistics.median(item["peak"] for item in cold[entry.name]) / 1e6
        ratios = ["", ""]
        if entry.bare:
            ratios = [f"{ratio(cold, entry, key):.2f}" for key in ("ms", "peak")]
        times = f"{timing.median:.1f} | {timing.p99:.1f}"
        print(
            f"| {entry.name} | {megabytes:.1f} | {start:.0f} | {ratios[0]} | {peak:.1f} | {ratios[1]} "
            f"| {timing.failure or times} |"
        )
    versions = {name: item for entry in entries for name, item in entry.environment.versions.items()}
    shown = [f"{name} {versions[name]}" for name in RUNTIMES if name in versions and name != "numpy"]
    numpys = sorted({entry.environment.versions["numpy"] for entry in entries})
    print(f"\n{', '.join(shown)}; numpy {', '.join(numpys)}.")


def print_overheads(overheads: dict[tuple[str, str], dict[str, float]]) -> None:
    print("\n| engine | precision | set, invoke, get us | logits(out=) adds us | predict() adds us |")
    print("| --- | --- | --- | --- | --- |")
    for (engine, precision), found in overheads.items():
        print(
            f"| {engine} | {precision} | {found['bare']:.1f} | {found['logits']:.2f} "
            f"| {found['predict']:.2f} |"
        )


def cold_goals(entries: list[Contestant], cold: dict[str, list[dict[str, Any]]]) -> list[Goal]:
    """What cold starts have to show."""
    pairs = [(entry, entry.limits) for entry in entries if entry.limits]
    return [
        *(Goal(f"{e.name}: cold start of bare", ratio(cold, e, "ms"), m.cold) for e, m in pairs),
        *(Goal(f"{e.name}: peak memory of bare", ratio(cold, e, "peak"), m.peak) for e, m in pairs),
    ]


def overhead_goals(overheads: dict[tuple[str, str], dict[str, float]]) -> list[Goal]:
    """What the calls of a classifier have to show."""
    goals = []
    for key, name in (("predict", "predict()"), ("logits", "logits(out=)")):
        for (engine, precision), found in overheads.items():
            limits = NATIVE_LIMITS if engine == NATIVE else LIMITS
            what = f"{name} adds, us, {engine} {precision}"
            goals.append(Goal(what, found[key], getattr(limits, key)))
    return goals


if __name__ == "__main__":
    try:
        main()
    except EdgeRnnError as error:
        sys.exit(f"Error: {error}")
