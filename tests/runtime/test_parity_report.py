"""When a proof counts as passed, and what its record looks like."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, replace

import pytest

from edge_runtime.model_file.parity_figures import EngineParity, ParityBudget
from edge_runtime.model_file.parity_report import ParityReport

GOOD = EngineParity("tflite-runtime", "2.14.0", True, None, 0.99, 0.999, 0.5, 0.05)
BAD = replace(GOOD, engine="ai-edge-litert", agreement=0.98)
REFUSED = EngineParity("ai-edge-litert", "2.1.6", False, "refuses the model (version 12)")


def report(*engines, budget=ParityBudget(0.995), not_proven=()) -> ParityReport:
    return ParityReport("int8", 1000, "test split", 0.991, budget, 120_000, engines, not_proven)


@pytest.mark.parametrize(
    ("engines", "passed"),
    [
        ((GOOD,), True),
        ((GOOD, BAD), False),
        ((GOOD, replace(BAD, required=False)), False),  # loads the file and is wrong
        ((GOOD, REFUSED), True),
        ((GOOD, replace(REFUSED, required=True)), False),
        ((REFUSED,), False),
        ((replace(GOOD, required=False),), False),  # no engine of the target ran
        ((), False),
    ],
)
def test_truth(engines, passed):
    assert bool(report(*engines)) is passed


@pytest.mark.parametrize(("limit", "passed"), [(None, True), (0.5, True), (0.4999, False)])
def test_logit_difference_counts_where_the_budget_limits_it(limit, passed):
    assert bool(report(GOOD, budget=ParityBudget(0.995, limit))) is passed


@pytest.mark.parametrize(
    ("agreeing", "near_ties", "windows", "budget", "verdict"),
    [
        (27, 0, 27, 0.995, "not refuted"),  # 598 windows would prove it
        (26, 0, 27, 0.995, "not refuted"),
        (25, 0, 27, 0.995, "refuted"),
        (25, 1, 27, 0.995, "not refuted"),  # a near tie is not counted
        (9, 0, 27, 0.995, "refuted"),  # at chance
        (597, 0, 597, 0.995, "not refuted"),
        (598, 0, 598, 0.995, "proven"),
        (9962, 0, 10_000, 0.995, "proven"),
        (9961, 0, 10_000, 0.995, "not refuted"),
        (9938, 0, 10_000, 0.995, "not refuted"),
        (9937, 0, 10_000, 0.995, "refuted"),
        (10_000, 0, 10_000, 0.9997, "proven"),
        (27, 0, 27, 1.0, "not refuted"),
        (26, 0, 27, 1.0, "refuted"),
        (0, 0, 27, 0.0, "proven"),
    ],
)
def test_agreement_is_judged_by_the_exact_binomial_test(agreeing, near_ties, windows, budget, verdict):
    result = replace(GOOD, agreement=agreeing / windows, near_ties=near_ties)
    found = replace(report(result, budget=ParityBudget(budget)), windows=windows)
    assert found.verdict == verdict
    assert bool(found) is (verdict != "refuted")
    assert ParityReport.from_json(json.loads(json.dumps(found.to_json()))) == found
    assert found.to_json()["verdict"] == verdict


def test_the_worst_engine_decides():
    weak = replace(GOOD, agreement=0.993)
    assert report(GOOD).verdict == "proven"
    assert report(GOOD, weak).verdict == "not refuted"
    assert report(GOOD, weak, BAD).verdict == "refuted"
    assert report(GOOD, weak, REFUSED).verdict == "not refuted"
    assert report(REFUSED, replace(GOOD, required=False)).verdict == "not run"


@pytest.mark.parametrize("budget", [ParityBudget(0.9, 1.0), ParityBudget(0.9)])
@pytest.mark.parametrize("figure", ["agreement", "max_logit_difference"])
def test_nan_never_passes(budget, figure):
    assert not report(replace(GOOD, **{figure: float("nan")}), budget=budget)


def test_json_both_ways():
    original = report(GOOD, REFUSED, budget=ParityBudget(0.995, 1.5), not_proven=("x",))
    assert ParityReport.from_json(json.loads(json.dumps(original.to_json()))) == original


def test_the_arena_is_kept_and_printed_for_engines_that_have_one():
    micro = replace(GOOD, engine="tflite-micro", version="0.dev20261023182759", arena_bytes=190_448)
    original = report(GOOD, micro)
    record = json.loads(json.dumps(original.to_json()))
    assert ["arena_bytes" in engine for engine in record["engines"]] == [False, True]
    assert ParityReport.from_json(record) == original
    assert "tflite-micro: needs an arena of 190,448 bytes" in str(original)
    starts = {
        line.index("%") for line in str(original).splitlines() if "0.dev" in line or "2.14" in line
    }
    assert len(starts) == 1  # one column, however long a version is


def test_keys_that_later_versions_added_may_be_missing():
    record = report(GOOD).to_json()
    del record["not_proven"], record["engines"][0]["original_agreement"]
    assert ParityReport.from_json(record) == report(GOOD)


@pytest.mark.parametrize("key", ["precision", "windows", "full_accuracy", "budget", "engines"])
def test_a_record_that_lacks_a_key_is_refused(key):
    record = report(GOOD).to_json()
    del record[key]
    with pytest.raises(KeyError):
        ParityReport.from_json(record)


def test_frozen():
    with pytest.raises(FrozenInstanceError):
        report(GOOD).windows = 1


def test_printed_table_names_what_matters():
    text = str(report(GOOD, BAD, REFUSED, not_proven=("litert-9",)))
    assert "1,000 windows (test split)" in text
    assert "99.90 %" in text
    assert "below the budget" in text
    assert "refuses the model (version 12) (not in the target)" in text
    assert "Not proven on: litert-9" in text
    assert ": FAILED, refuted" in text
    assert ": passed, proven" in str(report(GOOD))
    assert "Weak proof" not in text + str(report(GOOD))


def test_printed_table_says_what_few_windows_show():
    tied = replace(GOOD, agreement=26 / 27, near_ties=1, near_tie_margin=0.0123)
    text = str(replace(report(tied), windows=27))
    assert "96.30 %" in text
    assert "passed, not refuted" in text
    assert "1 of 1 windows with another class not counted, as near ties" in text
    assert "margin is below 0.01230" in text
    # The lower limit of 26 of 26 is 0.05 ** (1 / 26).
    assert "Weak proof on 27 windows: they show an agreement of 89.12 % or more (95 %" in text
    assert "to prove the budget takes at least 598" in text
    many = str(replace(report(replace(GOOD, agreement=0.995)), windows=10_000))
    assert "Weak proof on 10,000 windows: they show an agreement of 99.37 % or more" in many
    assert "takes at least" not in many
