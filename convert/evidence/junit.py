"""The record as JUnit XML: one suite for each file, one test case for each engine and check.

GitHub's test reporters and GitLab's `artifacts:reports:junit` show it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from convert.evidence.difference import WORSE
from convert.evidence.record import Check, Difference, EngineRun, Evidence, ModelRecord
from edge_runtime.host.atomic_file import replacing
from edge_runtime.host.optional_packages import needs_extra
from edge_runtime.model_file.binomial import NOT_REFUTED, REFUTED
from edge_runtime.model_file.parity_report import NOT_RUN

if TYPE_CHECKING:
    from junitparser import TestCase, TestSuite


def write_junit(evidence: Evidence, path: str | Path) -> None:
    """Write the XML. The file appears whole or not at all."""
    with needs_extra("workstation", "junitparser", "edge-rnn parity --junit"):
        from junitparser import JUnitXml
    report = JUnitXml("edge-rnn parity")
    for model in evidence.models:
        report.add_testsuite(_suite(model, evidence))
    report.update_statistics()  # type: ignore[no-untyped-call]
    with replacing(path) as temporary:
        report.write(str(temporary), pretty=True)


def _suite(model: ModelRecord, evidence: Evidence) -> TestSuite:
    from junitparser import TestSuite

    suite = TestSuite(model.name)
    suite.timestamp = evidence.identity.made.rstrip("Z")
    for name, value in _properties(model, evidence).items():
        suite.add_property(name, value)
    for run in model.runs:
        for check in run.checks:
            suite.add_testcase(_case(model, run, check, strict=evidence.strict))
    if model.baseline is not None:
        reason = model.baseline.incomparable
        if reason is not None:
            suite.add_testcase(_skipped(model, "baseline", reason))
        for difference in model.baseline.differences:
            suite.add_testcase(_baseline_case(model, difference))
    for item in model.not_proven:
        suite.add_testcase(_skipped(model, item.what, item.why))
    return suite


def _properties(model: ModelRecord, evidence: Evidence) -> dict[str, str]:
    return {
        "model_sha256": model.sha256,
        "flatbuffer_sha256": model.flatbuffer_sha256,
        "reference_sha256": evidence.reference.sha256,
        "data_sha256": evidence.reference.data_sha256,
        "windows": str(evidence.reference.count),
        **evidence.identity.versions,
    }


def _case(model: ModelRecord, run: EngineRun, check: Check, *, strict: bool) -> TestCase:
    from junitparser import Failure, Skipped, TestCase

    case = TestCase(f"{run.name} {run.version}: {check.name}", classname=model.name)
    case.system_out = f"{check.verdict}: {check.reason}"
    if check.verdict == REFUTED or (strict and check.verdict == NOT_REFUTED):
        case.result = [Failure(check.reason, check.verdict)]
    elif check.verdict == NOT_RUN:
        case.result = [Skipped(check.reason)]
    return case


def _baseline_case(model: ModelRecord, difference: Difference) -> TestCase:
    from junitparser import Failure, TestCase

    case = TestCase(f"{', '.join(difference.runs)}: baseline", classname=model.name)
    broken, mended = len(difference.broken), len(difference.mended)
    said = (
        f"{difference.verdict}: {broken} windows broken, {mended} mended, {len(difference.changed)} "
        f"changed (p = {difference.mcnemar.p_value:.2g})"
    )
    case.system_out = said
    if difference.verdict == WORSE:
        case.result = [Failure(said, "worse than the baseline")]
    return case


def _skipped(model: ModelRecord, name: str, reason: str) -> TestCase:
    from junitparser import Skipped, TestCase

    case = TestCase(f"{name}: not proven", classname=model.name)
    case.result = [Skipped(reason)]
    return case
