"""Writes convert/targets/target_table.json and docs/guides/targets.md from measurements in the engines.

    python -m scripts.engine_table --environments ~/.cache/engine_table    # minutes; needs the network
    python -m scripts.engine_table --environments ~/.cache/engine_table --only native    # one engine anew
    python -m scripts.engine_table --check                                 # compares the page with the table

For every version in ENGINES, an environment with that engine alone is made in the folder, once. A child
process runs the graphs of engine_cases.py in it, with each kind of kernels. The table says whether the
engine loads them and computes what the numpy engine computes. It also has the highest version that the
engine loads of every operator in TFLite's schema. Run this script when an engine appears or the converter
writes a new operator or scheme. Only ENGINES is typed in by hand.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convert.compiler.float_graph.builder import GraphBuilder
from convert.model_file.flatbuffer import serialize
from convert.proof.environments import INSTALL_SECONDS, fitting_python, make_in
from convert.targets.target import RIGHT, TABLE, Engine
from edge_runtime.engines.engine import MICRO_ENGINES, NATIVE, engine_version
from edge_runtime.host.atomic_file import replacing
from edge_runtime.host.child_process import foreign_command, run_command
from edge_runtime.tflite.graph import Op
from scripts.engine_cases import Case, cases, schemes

ROOT = Path(__file__).parents[1]

PAGE = ROOT / "docs" / "guides" / "targets.md"
HIGHEST_VERSION = 20
"""The highest operator version that is tried. The highest in TensorFlow 2.21's op_version.cc is 14."""


def series(name: str, distribution: str, versions: str, pythons: str, numpy: str) -> Engine:
    """An engine before it is measured. Blanks separate `versions` and `pythons`."""
    number = name.rsplit("-", 1)[1]
    oldest, newest = pythons.split()
    return Engine(
        name, distribution, number, tuple(versions.split()), (oldest, newest), numpy, {}, {}, {}
    )


TFLM_VERSION = "0.dev20261023182759"

ENGINES = (
    Engine("native", NATIVE, "", (engine_version(NATIVE),), ("3.9", "3.15"), "numpy", {}, {}, {}),
    series("tflite-runtime-2.14", "tflite-runtime", "2.14.0", "3.9 3.11", "numpy<2"),
    series("litert-1.4", "ai-edge-litert", "1.4.0", "3.9 3.12", "numpy<2"),
    series("litert-2.1", "ai-edge-litert", "2.1.0 2.1.6", "3.10 3.13", "numpy"),
    series("litert-2.2", "ai-edge-litert", "2.2.0", "3.10 3.14", "numpy"),
    series("litert-2.3", "ai-edge-litert", "2.3.0", "3.10 3.14", "numpy"),
    Engine(
        *("tflm", "tflite-micro", TFLM_VERSION, (TFLM_VERSION,), ("3.10", "3.13"), "numpy", {}, {}, {}),
        microcontroller=True,
    ),
)
"""The engines to measure: the oldest and the newest release of each series, and the Pythons and the numpy
that its wheels on PyPI are for. The first is edge-rnn's own, and has edge-rnn's version. tflite-micro has a
pre-release for almost every day, so that one of them is pinned."""


USED = ("default",)
"""The kernels that a device runs: XNNPACK's, and the engine's own where XNNPACK has none."""


def others(distribution: str) -> tuple[str, ...]:
    """Kernels that run only on request. A line of the page says what they do differently."""
    if distribution in MICRO_ENGINES:
        return USED
    return ("plain",) if distribution == NATIVE else ("no-xnnpack", "reference")


@dataclass(frozen=True)
class Findings:
    """The results of one version of an engine."""

    schemes: dict[str, str]
    reference: dict[str, str]
    """The same, with the reference kernels."""
    operators: dict[str, dict[str, str]]
    """Scheme -> operator with its version -> what is wrong with it."""
    op_versions: dict[str, int]
    differences: dict[str, dict[str, str]]
    """Scheme -> operator with its version -> how far its integers are from the reference kernels'. Only
    of engines for microcontrollers: XNNPACK is known to round otherwise."""


def main() -> None:
    """Measure and write, or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--environments", type=Path, help="folder for the engines' environments")
    parser.add_argument(
        "--only",
        action="append",
        choices=[engine.name for engine in ENGINES],
        help="measure this engine, and take the others from the table",
    )
    parser.add_argument("--check", action="store_true", help="only compare the page with the table")
    options = parser.parse_args()
    if options.check:
        stale = PAGE.read_text("utf-8") != page(json.loads(TABLE.read_text("utf-8")))
        sys.exit(
            "docs/guides/targets.md: out of date. Run python -m scripts.engine_table." if stale else None
        )
    if options.environments is None:
        parser.error("--environments is needed, unless --check is given")
    tests, unwritten = cases()
    print(*unwritten, sep="\n")
    table: dict[str, Any] = {
        "made_by": "scripts/engine_table.py",
        "written": written(tests),
        "engines": [],
    }
    kept = kept_rows(options.only, table["written"])
    for engine in ENGINES:
        row = kept.get(engine.name) or measured(engine, options.environments, tests)
        table["engines"].append(row)
    for path, text in ((TABLE, json.dumps(table, indent=1) + "\n"), (PAGE, page(table))):
        with replacing(path) as temporary:
            temporary.write_text(text, "utf-8")


def kept_rows(only: list[str] | None, writes: dict[str, list[str]]) -> dict[str, Any]:
    """Name -> row of the present table, for the engines that are not to be measured again.

    Ends the program where the converter now writes other operators, since all engines have to run those.
    """
    if only is None:
        return {}
    table = json.loads(TABLE.read_text("utf-8"))
    if table["written"] != writes:
        sys.exit("--only: the converter writes other operators than in the table. Measure every engine.")
    return {row["name"]: row for row in table["engines"] if row["name"] not in only}


def measured(engine: Engine, environments: Path, tests: list[Case]) -> dict[str, Any]:
    """The table's row of an engine, from runs of all its versions."""
    found = []
    if engine.microcontroller:
        tests, _ = cases(by_scales=True)
    for version in engine.versions:
        python = engine_python(environments, engine, version)
        found.append(probe(python, engine.distribution, tests))
        print(engine.distribution, version, found[-1].schemes)
    return record(engine, found)


def engine_python(folder: Path, engine: Engine, version: str) -> str:
    """The Python of an environment with exactly that version, made if it is missing.

    NATIVE runs in this one.
    """
    if engine.distribution == NATIVE:
        return sys.executable
    environment = folder.absolute() / f"{engine.distribution}-{version}"
    ready = environment / "ready"
    if not ready.exists():
        make_in(
            environment,
            fitting_python(engine),
            [f"{engine.distribution}=={version}", engine.numpy, "click"],
        )
        ready.touch()
    return str(environment / "bin" / "python")


def probe(python: str, distribution: str, tests: list[Case]) -> Findings:
    """Run the cases in that Python's engine, and find the versions of every operator that it loads."""
    tests = [case for case in tests if distribution != NATIVE or not case.has_half_input]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, case in enumerate(tests):
            (folder / f"{number}.tflite").write_bytes(case.flatbuffer)
            np.savez(folder / f"{number}.npz", *case.inputs)
        np.savez(folder / "versions.npz", **operator_codes())
        crashed, unusual = run_probe(python, distribution, folder), others(distribution)
        used = [finding(case, folder, number, USED, crashed) for number, case in enumerate(tests)]
        reference = [
            finding(case, folder, number, unusual, crashed) for number, case in enumerate(tests)
        ]
        apart = [units_apart(case, folder, number) for number, case in enumerate(tests)]
        loaded = (folder / "loaded.txt").read_text().splitlines()
    if distribution in MICRO_ENGINES:
        loaded = [case.what.replace(" version", "") for case in ran_alone(tests, used)]
    else:
        apart = [0] * len(tests)
    return Findings(
        {scheme: of_scheme(tests, used, scheme) for scheme in schemes()},
        {scheme: of_scheme(tests, reference, scheme) for scheme in schemes()},
        {scheme: of_operators(tests, used, scheme) for scheme in schemes()},
        highest_versions(loaded),
        {scheme: differences(tests, apart, scheme) for scheme in schemes()},
    )


def written(tests: list[Case]) -> dict[str, list[str]]:
    """Scheme -> every operator with its version that the converter writes."""
    return {
        scheme: sorted({name for case in tests if case.scheme == scheme for name in case.operators})
        for scheme in schemes()
    }


def run_probe(python: str, distribution: str, folder: Path) -> dict[str, str]:
    """Run the child until it has done every case. Returns "case-kernels" -> signal of each crash."""
    crashed: dict[str, str] = {}
    command = foreign_command(python, ROOT, "scripts.engine_probe", distribution, str(folder))
    while not (folder / "loaded.txt").exists():
        ending = run_command(command, seconds=INSTALL_SECONDS)
        if ending:
            continue
        if ending.signal is None:
            sys.exit(f"{python}: {ending.errors or ending}")
        started = {mark.stem for mark in folder.glob("*.started")}
        answered = {path.stem for suffix in ("npz", "txt") for path in folder.glob(f"*-*.{suffix}")}
        (unanswered,) = started - answered - set(crashed)
        crashed[unanswered] = ending.signal
    return crashed


def finding(
    case: Case, folder: Path, number: int, kinds: tuple[str, ...], crashed: dict[str, str]
) -> str:
    """RIGHT, or the first thing that went wrong with one of these kinds of kernels."""
    for kernels in kinds:
        answer = folder / f"{number}-{kernels}"
        if answer.name in crashed:
            return f"crashes ({crashed[answer.name]}, {kernels} kernels)"
        if answer.with_suffix(".txt").exists():
            return f"refused: {in_its_words(answer.with_suffix('.txt').read_text())}"
        with np.load(answer.with_suffix(".npz")) as arrays:
            found = [arrays[name] for name in arrays.files]
        if not case.is_right(found):
            largest, mean = case.difference(found)
            return (
                f"wrong by up to {largest:.3g}, {mean:.3g} on average, {kernels} kernels "
                f"(right is {case.tolerance:.3g}, {case.mean_tolerance:.3g})"
            )
    return RIGHT


def ran_alone(tests: list[Case], results: list[str]) -> list[Case]:
    """The cases of one operator that the engine ran, rightly or wrongly."""
    bad = ("refused", "crashes")
    return [
        case for case, result in zip(tests, results) if case.is_single and not result.startswith(bad)
    ]


def units_apart(case: Case, folder: Path, number: int) -> int:
    """By how many units the default kernels' integers differ from what is expected, at most.

    0 for float outputs, and where there is no answer.
    """
    answer = folder / f"{number}-default.npz"
    if not answer.exists():
        return 0
    largest = 0
    with np.load(answer) as arrays:
        for tensor, name, want in zip(case.outputs, arrays.files, case.expected):
            if tensor.quantization is not None:
                apart = np.abs(tensor.decode(arrays[name]).ravel() - want.ravel()).max()
                largest = max(largest, round(float(apart) / tensor.quantization.scale[0]))
    return largest


def differences(tests: list[Case], apart: list[int], scheme: str) -> dict[str, str]:
    """Operator with its version -> e.g. "up to 1 unit", for those of `scheme` that differ alone."""
    found: dict[str, int] = {}
    for case, units in zip(tests, apart):
        if case.scheme == scheme and case.is_single and units:
            found[case.what] = max(units, found.get(case.what, 0))
    return {name: f"up to {units} unit{'s' * (units > 1)}" for name, units in sorted(found.items())}


def in_its_words(message: str) -> str:
    """The first sentence of what the engine itself said, without edge_runtime's words around it."""
    found = re.search(r" refuses the model \((.*)\)$", message, re.DOTALL)
    return (found.group(1) if found else message).split(". ")[0]


def of_scheme(tests: list[Case], results: list[str], scheme: str) -> str:
    """RIGHT if every network is, apart from those with a single operator that is wrong.

    Such an operator is a finding of its own. It rules out the networks that need it, not the scheme.
    """
    bad = set(of_operators(tests, results, scheme))
    asked = [(case, result) for case, result in zip(tests, results) if case.scheme == scheme]
    whole = [(case, result) for case, result in asked if not case.is_single]
    counted = [(case, result) for case, result in whole if not case.operators & bad] or whole
    return next((f"{result} [{case.what}]" for case, result in counted if result != RIGHT), RIGHT)


def of_operators(tests: list[Case], results: list[str], scheme: str) -> dict[str, str]:
    """Operator with its version -> finding, for each operator that is not right by itself."""
    return {
        case.what: result
        for case, result in zip(tests, results)
        if case.scheme == scheme and case.is_single and result != RIGHT
    }


def operator_codes() -> dict[str, np.ndarray]:
    """Name and version, as in "ADD 3" -> a file with that operator code.

    No operator of the graph uses the code. An engine looks up every code before it reads the graph.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    builder = GraphBuilder()
    source = builder.activation("x", (1, 1))
    flatbuffer = serialize(builder.build((source,), (builder.operator(Op.TANH, [source], "y", (1, 1)),)))
    files = {}
    for name, code in vars(schema.BuiltinOperator).items():
        if not name.isupper() or name in ("CUSTOM", "DELEGATE", "PLACEHOLDER_FOR_GREATER_OP_CODES"):
            continue
        for version in range(1, HIGHEST_VERSION + 1):
            model = schema.ModelT.InitFromPackedBuf(flatbuffer, 0)
            asked = schema.OperatorCodeT()
            asked.deprecatedBuiltinCode = min(code, 127)
            asked.builtinCode, asked.version = code, version
            model.operatorCodes.append(asked)
            packed = flatbuffers.Builder(1024)
            packed.Finish(model.Pack(packed), file_identifier=b"TFL3")
            files[f"{name} {version}"] = np.frombuffer(bytes(packed.Output()), np.uint8)
    return files


def highest_versions(loaded: list[str]) -> dict[str, int]:
    """Operator -> the highest version in the list."""
    found: dict[str, int] = {}
    for name, version in (line.split() for line in loaded):
        found[name] = max(found.get(name, 0), int(version))
    return dict(sorted(found.items()))


def record(engine: Engine, found: list[Findings]) -> dict[str, Any]:
    """The table's entry: what all probed versions of the series have in common."""
    return {
        "name": engine.name,
        "distribution": engine.distribution,
        "series": engine.series,
        "versions": engine.versions,
        "pythons": engine.pythons,
        "numpy": engine.numpy,
        "schemes": common([item.schemes for item in found]),
        "reference": common([item.reference for item in found]),
        "operators": {
            scheme: {name: what for item in found for name, what in item.operators[scheme].items()}
            for scheme in schemes()
        },
        "op_versions": {
            op: min(item.op_versions[op] for item in found)
            for op in found[0].op_versions
            if all(op in item.op_versions for item in found)
        },
        **(of_microcontroller(found) if engine.microcontroller else {}),
    }


def of_microcontroller(found: list[Findings]) -> dict[str, Any]:
    """What only the row of an engine for microcontrollers has."""
    apart = {
        scheme: {name: what for item in found for name, what in item.differences[scheme].items()}
        for scheme in schemes()
    }
    return {"microcontroller": True, "differences": {k: v for k, v in apart.items() if v}}


def common(findings: list[dict[str, str]]) -> dict[str, str]:
    """RIGHT if every version is, otherwise the first other finding."""
    return {
        name: next((item[name] for item in findings if item[name] != RIGHT), RIGHT)
        for name in findings[0]
    }


HEAD = """# Targets

`scripts/engine_table.py` writes this page from measurements in the engines. `--check` compares it with
`convert/targets/target_table.json`, which the converter reads. Nothing in the tables is typed in by hand.

`--target` names the engine that the device runs, by its minor version. The default is `any`: the file
must load and compute correctly on every engine in the tables below. `tflm` is the exception: TensorFlow
Lite for Microcontrollers is [a target of its own](#microcontrollers), which `any` does not include.

    edge-rnn convert runs/mnist --target litert-2.3 --prove --require-engine

- **What a target cannot do is left out.** A precision may have a second form that the target can run. In
  that case the converter uses that form. The report and the file say so and name its cost in accuracy,
  as in the example below. Otherwise the precision is refused, as in
  `--precision: target any has no int4.`
- **Every installed engine takes part in the proof.** An engine of the target that is not installed runs
  in an environment of its own, in the user's cache folder or in `$EDGE_RNN_CACHE`. `--prove` makes this
  environment. Without `--prove`, the command that makes it is printed. An engine outside the target may
  refuse the file. If it loads the file, it must agree.
- **What is not proven is named.** `Not proven on: ...` is printed and stored in the file. With
  `--require-engine`, no file is written in this case, and the exit code is 1.

Example of a form that was chosen for a target:

    dynamic: one scale per matrix, as tflite-runtime-2.14 does not load one scale per row (FULLY_CONNECTED version 12); mean logit error 0.0137 instead of 0.0113 on 500 calibration windows

## Microcontrollers

    edge-rnn convert runs/mnist --target tflm --graph step --prove --require-engine

- **The proof runs TFLM's own C++ code** on this computer, with its portable kernels, through the package
  `tflite-micro`. It has wheels for x86-64 Linux only, and only pre-releases, so that one of them is pinned.
  A vendor's kernels, such as CMSIS-NN, are not in it.
- **The arena is measured.** TFLM keeps all tensors and its own records in one block of memory, whose size
  the program has to know. The proof finds the smallest one by trying. The figure is in the report, in the
  file's record (`arena_bytes` of the engine in `parity`) and in the output of `edge-rnn inspect`. It holds
  for 64-bit pointers. On a 32-bit processor, less is enough.
- **TFLM ignores the versions of operators** and refuses types instead. The table of operators has the
  highest versions that it ran. `inspect` lists it under "loads on" only for files with edge-rnn's record.
- **Integers are compared bit for bit** with the reference kernels, for every operator with every scale of
  the test networks. A line below names each operator that differs, and the converter says so before it
  writes a file with such an operator.
- A step file needs far less memory than an unrolled one: TFLM has a record of every operator.

`edge-rnn verify --engine tflite-micro` runs a file's probes in TFLM, where that package is installed (`pip
install --pre tflite-micro`).

## What each engine computes correctly

An engine is "right" when it loads the graph as a device would and computes the outputs of
`edge_runtime.numpy_engine`, which runs the same graph in numpy. The engine uses its default kernels,
which are XNNPACK's wherever XNNPACK supports the operator. Each scheme is tested with small random
networks of every kind that the converter writes, and with each of their operators on its own.

| graph | allowed difference | reason |
| --- | --- | --- |
| float32, float16 | 1e-5 of the largest logit | the engine adds float32 numbers in a different order |
| other schemes | on average at most the quantization's own error against the float graph, and never a quarter of the spread of the logits | kernels round a last bit differently, and this adds up over the steps as the quantization's own rounding does; a scheme that an engine computes wrongly is off by as much as the logits are spread |
| one integer operator | one unit of its output | kernels round ties differently |
| one operator with integer weights and float activations | the sum of a row's weights, times both half steps | some engines round a row of activations to 8 bits over the range from its lowest to its highest value, others over the range from minus to plus its largest magnitude |
"""


def page(table: dict[str, Any]) -> str:
    """docs/guides/targets.md, from the table alone."""
    engines = table["engines"]
    names = [engine["name"] for engine in engines]
    return "\n".join(
        [
            HEAD,
            markdown(["scheme", *names], scheme_rows(table)),
            *notes(engines),
            "\n## Versions\n",
            markdown(["target", "what was run", "CPython", "numpy"], [origin(item) for item in engines]),
            "\nFor a series with two versions, its oldest and its newest, the tables show what both have in common.",
            "\n## Operators\n",
            "The table shows the highest version of each operator that an engine loads, and the versions that",
            "the converter writes. The converter's own table covers all operators of TFLite's schema. The",
            "converter refuses a graph with a version that its target does not load, before it writes anything.",
            "",
            markdown(["operator", "written", *names], operator_rows(table)),
            "",
        ]
    )


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def scheme_rows(table: dict[str, Any]) -> list[list[str]]:
    """A row for each scheme, with the first word of each engine's finding."""
    return [
        [scheme, *(engine["schemes"][scheme].split(" ")[0].rstrip(":") for engine in table["engines"])]
        for scheme in table["written"]
    ]


def notes(engines: list[dict[str, Any]]) -> list[str]:
    """A line for each finding that is not RIGHT."""
    lines = []
    for engine in engines:
        for key, aside in (("schemes", ""), ("reference", ", other kernels")):
            lines += [
                f"- {engine['name']}, {scheme}{aside}: {finding}"
                for scheme, finding in engine[key].items()
                if finding != RIGHT and not (aside and finding == engine["schemes"][scheme])
            ]
        lines += [
            f"- {engine['name']}, {scheme}, {operator} alone: {finding}"
            for scheme, findings in engine["operators"].items()
            for operator, finding in findings.items()
            if engine["schemes"][scheme] == RIGHT
        ]
        lines += [
            f"- {engine['name']}, {scheme}, {operator}: {units} from the reference kernels"
            for scheme, findings in engine.get("differences", {}).items()
            for operator, units in findings.items()
            if engine["schemes"][scheme] == RIGHT
        ]
    return ["", *lines] if lines else []


def origin(engine: dict[str, Any]) -> list[str]:
    """The row that says from which versions an engine's column was made."""
    versions = " and ".join(engine["versions"])
    return [
        engine["name"],
        f"{engine['distribution']} {versions}",
        " to ".join(engine["pythons"]),
        engine["numpy"],
    ]


def operator_rows(table: dict[str, Any]) -> list[list[str]]:
    """A row for each operator that the converter writes."""
    uses: dict[str, set[int]] = {}
    for names in table["written"].values():
        for op, version in (name.split(" version ") for name in names):
            uses.setdefault(op, set()).add(int(version))
    return [
        [
            op,
            ", ".join(map(str, sorted(versions))),
            *(str(engine["op_versions"].get(op, "-")) for engine in table["engines"]),
        ]
        for op, versions in sorted(uses.items())
    ]


if __name__ == "__main__":
    main()
