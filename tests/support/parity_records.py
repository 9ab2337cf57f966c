"""Records of edge-rnn parity for the tests of its page: a measured one, and what else can occur."""

from __future__ import annotations

from dataclasses import replace

from convert.evidence import figures
from convert.evidence.record import (
    EngineRun,
    Evidence,
    ModelRecord,
    ReferenceRecord,
    ResultRecord,
)
from convert.evidence.record_file import read_evidence
from edge_runtime.model_file.binomial import PROVEN, REFUTED
from edge_runtime.model_file.parity_report import NOT_RUN
from tests.support.commands import ROOT

MEASURED = ROOT / "tests" / "support" / "parity_record.json"
"""Of a small network on digits: several engines, groups, a baseline."""

SCRIPT = "<script>document.title = 'taken over'</script>"
QUOTES = '"><img src=x onerror="document.title=\'taken over\'">'
MATHEMATICS = "$\\frac{1}{0}$"
HALF = "\ud800"
"""Half of a character, which JSON can hold and UTF-8 cannot."""
CONTROL = "bell\x07 and \x00"


def measured() -> Evidence:
    """The record as the command wrote it."""
    return read_evidence(MEASURED)


def with_few_windows() -> Evidence:
    """The same with three of its worst windows, of which a page is made faster."""
    evidence = measured()
    models = tuple(
        replace(model, results=tuple(replace(item, worst=item.worst[:3]) for item in model.results))
        for model in evidence.models
    )
    return replace(evidence, models=models)


def hostile() -> Evidence:
    """The same with labels, groups, names, notes and paths that try to be markup or break it."""
    evidence = with_few_windows()
    bad = (SCRIPT, QUOTES, MATHEMATICS, HALF, CONTROL)
    labels = tuple(f"{bad[place % len(bad)]}{place}" for place in range(len(evidence.reference.labels)))
    return replace(
        evidence,
        summary=f"proven: {SCRIPT}",
        reference=replace(evidence.reference, labels=labels, name=QUOTES, data=SCRIPT),
        identity=replace(evidence.identity, command=SCRIPT, versions={QUOTES: SCRIPT}),
        models=tuple(_hostile_model(model, bad) for model in evidence.models),
    )


def _hostile_model(model: ModelRecord, bad: tuple[str, ...]) -> ModelRecord:
    results = tuple(
        replace(
            result,
            groups=tuple(
                replace(group, group=f"{bad[place % len(bad)]}{place}")
                for place, group in enumerate(result.groups)
            ),
            per_class=tuple(replace(item, label=SCRIPT) for item in result.per_class),
        )
        for result in model.results
    )
    runs = tuple(replace(run, engine=QUOTES) for run in model.runs)
    return replace(
        model, name=SCRIPT, path=QUOTES, notes=(SCRIPT,), reason=SCRIPT, runs=runs, results=results
    )


def several() -> Evidence:
    """Three files: one as measured, one that is refuted, one that no engine runs."""
    evidence = with_few_windows()
    (model,) = evidence.models
    refused = EngineRun("native", "1.0", "default", True, REFUTED, "It has an operator too many.", None)
    models = (
        model,
        replace(model, name="refuted.tflite", verdict=REFUTED, reason="Agreement 50 %.", baseline=None),
        replace(
            model, name="refused.tflite", verdict=REFUTED, runs=(refused,), results=(), baseline=None
        ),
    )
    return replace(
        evidence, models=models, verdict=REFUTED, summary="refuted: refuted.tflite, agreement 50 %"
    )


def unlabelled() -> Evidence:
    """Windows without true classes and groups, in a single engine."""
    evidence = with_few_windows()
    (model,) = evidence.models
    result = replace(
        model.results[0],
        accuracy=None,
        mcnemar=None,
        per_class=(),
        groups=(),
        calibration=None,
        disagreements=(),
        flips=(),
        worst=tuple(replace(item, truth=None, group=None) for item in model.results[0].worst),
    )
    bare = replace(model, runs=model.runs[:1], results=(result,), not_proven=(), baseline=None)
    reference = replace(evidence.reference, truth=None, accuracy=None)
    return replace(
        evidence, reference=reference, models=(bare,), verdict=PROVEN, summary="proven: all of it"
    )


def very_different() -> Evidence:
    """A thousand windows with other classes, the later the clearer, and as many broken ones."""
    evidence = with_few_windows()
    (model,) = evidence.models
    (example, *_) = model.results[0].disagreements
    different = tuple(replace(example, window=n, reference_margin=float(n)) for n in range(1001))
    (change, *_) = model.baseline.differences
    broken = tuple(replace(change.broken[0], window=n) for n in range(1000))
    baseline = replace(model.baseline, differences=(replace(change, broken=broken),))
    result = replace(model.results[0], disagreements=different)
    bad = replace(model, runs=model.runs[:3], results=(result,), baseline=baseline, verdict=REFUTED)
    return replace(evidence, models=(bad,), verdict=REFUTED, summary="refuted: other classes everywhere")


def nothing_ran() -> Evidence:
    """No engine gave an answer."""
    evidence = with_few_windows()
    (model,) = evidence.models
    run = EngineRun(
        "tflite-runtime", "2.14.0", "default", False, NOT_RUN, "Node 3 failed to prepare", None
    )
    bare = replace(model, runs=(run,), results=(), baseline=None, verdict=NOT_RUN)
    return replace(evidence, models=(bare,), windows=(), verdict=NOT_RUN, summary="not run: no engine")


def forecast() -> Evidence:
    """A regression with two outputs, on long windows of three features."""
    evidence = with_few_windows()
    (model,) = evidence.models
    errors = figures.OutputFigures("kWh", 2.5, 0.01, 0.05, 0.08, 0.014, 0.0056, 0.31, 0.312)
    outputs = (errors, replace(errors, name="°C", mean=0.002))
    numbers = figures.NumberFigures(outputs, 0.0056, None, None, "kWh", 0.0051, 0.0062)
    worst = tuple(
        replace(
            item,
            truth=None,
            reference=0,
            model=0,
            reference_logits=(7.25, -3.0),
            model_logits=(7.3, -3.01),
        )
        for item in model.results[0].worst
    )
    result = ResultRecord(
        model.results[0].logits_sha256,
        model.results[0].window_hashes,
        model.results[0].logit_errors,
        worst,
        numbers=numbers,
    )
    windows = tuple(
        figures.ShownWindow(item.window, tuple(tuple(row[10:13]) for row in item.rows), row_step=4)
        for item in evidence.windows
    )
    runs = tuple(replace(run, result=0) for run in model.runs)
    reference: ReferenceRecord = replace(
        evidence.reference,
        task="regression",
        labels=("kWh", "°C"),
        truth=None,
        accuracy=None,
        classes=(),
    )
    return replace(
        evidence,
        reference=reference,
        windows=windows,
        models=(replace(model, runs=runs, results=(result,), baseline=None),),
    )


RECORDS = {
    function.__name__: function
    for function in (measured, hostile, several, unlabelled, very_different, nothing_ran, forecast)
}
"""Name -> record."""
