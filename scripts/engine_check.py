"""Compares convert/targets/target_table.json with what the installed engines do now.

    python -m scripts.engine_check                           # a minute; needs no network
    python -m scripts.engine_check --kinds LSTM --kinds GRU  # only these networks of engine_cases.py

Prints each difference on a line of its own, and exits with 1 if there are any. An engine is named and
skipped if the table was not made from its version.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from convert.targets.target import RIGHT, TABLE
from edge_runtime.engines.engine import engine_version, usable_engines
from scripts.engine_cases import Case, cases, networks
from scripts.engine_table import Findings, probe, written


def main() -> None:
    """Probe the installed engines and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kinds", action="append", choices=networks(), help="default: every one")
    kinds = parser.parse_args().kinds
    tests, _ = cases(kinds)
    table = json.loads(TABLE.read_text("utf-8"))
    differences = written_otherwise(table, tests, whole=kinds is None)
    for distribution in usable_engines():
        version = engine_version(distribution)
        record = record_of(table, distribution, version)
        if record is None:
            print(f"{distribution} {version}: the table was not made from it")
            continue
        differences += differing(record, probe(sys.executable, distribution, tests))
        print(f"{distribution} {version}: {len(tests)} graphs compared with {record['name']}")
    print(*differences, sep="\n")
    sys.exit(1 if differences else 0)


def record_of(table: dict[str, Any], distribution: str, version: str) -> dict[str, Any] | None:
    """The table's entry that was made from exactly that version, among others."""
    for record in table["engines"]:
        if record["distribution"] == distribution and version in record["versions"]:
            found: dict[str, Any] = record
            return found
    return None


def written_otherwise(table: dict[str, Any], tests: list[Case], *, whole: bool) -> list[str]:
    """Operators that the converter writes and the table lacks; if `whole`, also the reverse."""
    lines = []
    for scheme, names in written(tests).items():
        known = set(table["written"].get(scheme, ()))
        lines += [f"{scheme}: the table lacks {name}" for name in sorted(set(names) - known)]
        if whole:
            lines += [f"{scheme}: nothing writes {name}" for name in sorted(known - set(names))]
    return lines


def differing(record: dict[str, Any], found: Findings) -> list[str]:
    """How the engine differs from its entry.

    The entry of several versions holds what they have in common, so one of them may do more.
    """
    alone = len(record["versions"]) == 1
    lines = []
    for scheme, finding in found.schemes.items():
        said = record["schemes"][scheme]
        says, does = said == RIGHT, finding == RIGHT
        if says > does or (alone and says != does):
            lines.append(f"{record['name']}, {scheme}: the table says {said}, it is {finding}")
    for op in sorted({*record["op_versions"], *found.op_versions}):
        says, does = record["op_versions"].get(op, 0), found.op_versions.get(op, 0)
        if says > does or (alone and says != does):
            lines.append(f"{record['name']}, {op}: the table says up to version {says}, it loads {does}")
    return lines


if __name__ == "__main__":
    main()
