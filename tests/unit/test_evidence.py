"""Evidence of a comparison: its statistics, figures, verdicts, difference to a baseline, and files."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import pytest

from convert.evidence.answers import Compared, EngineAnswers
from convert.evidence.compare_classes import compare_classes
from convert.evidence.compare_models import with_verdict
from convert.evidence.compare_numbers import compare_numbers
from convert.evidence.difference import with_baseline
from convert.evidence.identity import read_caches
from convert.evidence.judge_runs import judged_run, run_without_answers
from convert.evidence.junit import write_junit
from convert.evidence.record import Evidence
from convert.evidence.record_file import WIDTH, read_evidence, write_evidence
from convert.evidence.statistics import class_scores, clopper_pearson, mcnemar, reliability, wilson
from convert.proof.engines import ProofEngine
from convert.source_model.source_model import SourceModel
from edge_runtime.errors import DataError
from edge_runtime.model_file.normalization import Normalization
from edge_runtime.model_file.number_parity import ErrorBudget
from edge_runtime.model_file.parity_figures import ParityBudget
from edge_runtime.runs.labelled_windows import LabelledWindows
from tests.support.commands import ROOT
from tests.support.networks import random_network, random_windows

SAMPLE = ROOT / "tests" / "support" / "parity_record.json"
CLASSES, WINDOWS = 4, 400


def logits_of(classes: np.ndarray, lead: float = 4.0) -> np.ndarray:
    """Logits `[N, CLASSES]` whose best class is the given one, by `lead`."""
    return (np.eye(CLASSES)[classes] * lead).astype(np.float32)


@pytest.fixture(scope="module")
def compared() -> Compared:
    """Classes in turn, right but for every tenth window; persons a, b and c."""
    network = random_network(classes=CLASSES)
    reference = np.arange(WINDOWS) % CLASSES
    truth = np.where(np.arange(WINDOWS) % 10, reference, (reference + 1) % CLASSES)
    source = SourceModel(
        network=network,
        labels=("idle", "walk", "run", "fall"),
        normalization=Normalization((0.0,), (1.0,)),
        calibration=random_windows(network, 10),
        held_out=LabelledWindows(random_windows(network, WINDOWS), truth),
        split="test",
        logits=logits_of(reference),
        origin={},
        tools={},
    )
    groups = np.array(["a", "b", "c", "a"] * (WINDOWS // 4))
    return Compared("tiny", source, np.arange(WINDOWS) + 1000, groups, "data.npz", "0" * 64)


def flipped(windows, to: int) -> np.ndarray:
    classes = np.arange(WINDOWS) % CLASSES
    classes[list(windows)] = to
    return classes


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17 (1998), table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_the_published_intervals(count, total, low, high):
    found = wilson(count, total)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


def test_clopper_pearson_of_no_error_is_the_rule_of_three():
    found = clopper_pearson(300, 300)
    assert found.low == pytest.approx(0.05 ** (1 / 300))
    assert found.high == 1
    assert found.low == pytest.approx(1 - 3 / 300, abs=1e-4)


def test_mcnemar_counts_windows_on_which_one_is_right():
    one = np.array([True] * 10 + [False] * 2 + [True] * 50)
    other = np.array([False] * 10 + [True] * 2 + [True] * 50)
    found = mcnemar(one, other)
    assert (found.only_reference, found.only_model) == (10, 2)
    assert found.p_value == pytest.approx(2 * sum((1, 12, 66)) / 2**12)
    assert mcnemar(one, one).p_value == 1


def test_scores_are_none_where_they_are_undefined():
    truth, predicted = np.array([0, 0, 1, 1, 1]), np.array([0, 1, 1, 1, 3])
    first, second, never, only_predicted = class_scores(truth, predicted, 4)
    assert (first.precision, first.recall) == (1.0, 0.5)
    assert first.f1 == pytest.approx(2 / 3)
    assert second.precision == pytest.approx(2 / 3)
    assert (never.precision, never.recall) == (None, None)
    assert (only_predicted.precision, only_predicted.recall) == (0.0, None)


def test_calibration_error_is_the_gap_between_confidence_and_accuracy():
    lead = np.log(9.0)  # two classes: a probability of 0.9
    logits = np.array([[lead, 0.0]] * 10, np.float32)
    truth = np.array([0] * 6 + [1] * 4)
    found = reliability(logits, truth)
    assert found.ece == pytest.approx(0.3, abs=1e-6)
    (filled,) = [item for item in found.bins if item.windows]
    assert (filled.confidence, filled.accuracy) == (pytest.approx(0.9), 0.6)
    assert filled.low < filled.confidence <= filled.high or filled.low == pytest.approx(0.9)


def test_figures_of_a_model_that_flips_five_windows(compared):
    logits = logits_of(flipped((0, 4, 8, 12, 1), to=2))
    logits[1] = [0.0, 0.0, 0.01, 0.0]
    found = compare_classes(compared, logits, output_scale=0.5)
    assert (found.agreement.count, found.agreement.total) == (395, WINDOWS)
    assert [(flip.reference, flip.model, flip.windows) for flip in found.flips] == [(0, 2, 4), (1, 2, 1)]
    assert [item.window for item in found.disagreements] == [1000, 1001, 1004, 1008, 1012]
    # 0 of these windows was wrong before, the four others were right.
    assert (found.mcnemar.only_reference, found.mcnemar.only_model) == (4, 0)
    assert [item.group for item in found.groups] == ["a", "b", "c"]
    assert [item.agreement.count for item in found.groups] == [196, 99, 100]
    assert found.logit_errors.max_in_output_steps == pytest.approx(8)
    assert found.worst[0].window == 1000
    assert len(found.worst) == 10
    assert sum(found.margins.disagreements) == 5
    assert sum(found.margins.reference) == sum(found.margins.model) == WINDOWS
    assert len(found.window_hashes) == 4 * WINDOWS
    fall = found.per_class[3]
    assert fall.windows == int((compared.truth == 3).sum())
    assert fall.reference.recall == fall.model.recall


def test_unknown_classes_leave_out_what_needs_them(compared):
    unlabelled = replace(compared, source=replace(compared.source, labelled=False), groups=None)
    found = compare_classes(unlabelled, logits_of(flipped((0,), to=2)), None)
    assert (found.accuracy, found.mcnemar, found.per_class, found.calibration, found.groups) == (
        *(None, None, (), None, ()),
    )
    assert found.disagreements[0].truth is None
    assert found.logit_errors.max_in_output_steps is None


def answers(logits, required=True, failure="") -> EngineAnswers:
    return EngineAnswers(ProofEngine("native", "1", required), "plain", logits, failure)


@pytest.mark.parametrize(
    ("agreeing", "limit", "error", "verdict"),
    [
        (400, None, 0.0, "proven"),
        (398, None, 0.0, "not refuted"),
        (380, None, 0.0, "refuted"),
        (400, 0.5, 0.6, "refuted"),
        (400, 0.5, 0.4, "proven"),
        (400, 0.5, np.nan, "refuted"),
    ],
)
def test_a_run_is_judged_by_every_check(compared, agreeing, limit, error, verdict):
    result = compare_classes(compared, logits_of(np.arange(WINDOWS) % CLASSES), None)
    result = replace(
        result,
        judged=clopper_pearson(agreeing, WINDOWS),
        logit_errors=replace(result.logit_errors, max=error),
    )
    run = judged_run(answers(result), result, 0, ParityBudget(0.99, limit))
    assert run.verdict == verdict
    assert verdict == "proven" or any(check.verdict == verdict for check in run.checks)
    assert [check.name for check in run.checks] == [
        *("answers", "agreement"),
        *(["logit difference"] if limit else []),
    ]


@pytest.mark.parametrize(("required", "verdict"), [(True, "refuted"), (False, "not run")])
def test_a_refusal_refutes_a_file_only_where_the_target_has_the_engine(required, verdict):
    run = run_without_answers(answers(None, required, "native refuses the model"))
    assert (run.verdict, run.reason, run.result) == (verdict, "native refuses the model", None)


@pytest.fixture(scope="module")
def sample() -> Evidence:
    return read_evidence(SAMPLE)


def changed(sample: Evidence, compared: Compared, windows, to: int) -> Evidence:
    """The record with the figures of a model that gives these windows of `compared` another class."""
    result = compare_classes(compared, logits_of(flipped(windows, to)), None)
    (model,) = sample.models
    runs = tuple(replace(run, result=0) for run in model.runs)
    reference = replace(
        sample.reference,
        count=WINDOWS,
        classes=tuple((np.arange(WINDOWS) % CLASSES).tolist()),
        truth=tuple(compared.truth.tolist()),
        positions=tuple(compared.positions.tolist()),
    )
    model = replace(model, runs=runs, results=(result,), baseline=None)
    return replace(sample, reference=reference, models=(model,))


@pytest.mark.parametrize(
    ("before", "after", "broken", "mended", "verdict"),
    [
        ((), (), 0, 0, "same"),
        ((), (4, 8), 2, 0, "noise"),
        ((), (4, 8, 12, 16, 24, 28, 32), 7, 0, "worse"),
        ((4, 8, 12, 16, 24, 28, 32), (), 0, 7, "better"),
        ((4, 8), (12, 16), 2, 2, "noise"),
    ],
)
def test_a_baseline_tells_broken_from_mended_and_noise_from_change(
    sample, compared, before, after, broken, mended, verdict
):
    old, new = (changed(sample, compared, windows, to=2) for windows in (before, after))
    evidence = with_verdict(with_baseline(new, old, "old.json"))
    (difference,) = evidence.models[0].baseline.differences
    assert (len(difference.broken), len(difference.mended)) == (broken, mended)
    assert difference.verdict == verdict
    assert [item.window for item in difference.broken] == [1000 + n for n in after if n not in before]
    assert (evidence.verdict == "refuted") == (verdict == "worse")
    assert evidence.exit_code == (verdict == "worse")


def test_other_digits_of_logits_and_other_wrong_classes_are_changes(sample, compared):
    old, new = changed(sample, compared, (0, 10), to=3), changed(sample, compared, (0, 10), to=2)
    logits = logits_of(flipped((0, 10), to=2))
    logits[5] *= 1.5
    new = replace(
        new, models=(replace(new.models[0], results=(compare_classes(compared, logits, None),)),)
    )
    (difference,) = with_baseline(new, old, "old.json").models[0].baseline.differences
    # 0 is truly 1: wrong before and after. 10 is truly 3 and was mended by the old model.
    assert [item.window for item in difference.changed] == [1000]
    assert [item.window for item in difference.broken] == [1010]
    assert difference.changed_logits == 1
    assert difference.verdict == "noise"


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"windows_sha256": "1" * 64}, "other windows"), ({"labels": ("a", "b")}, "other classes")],
)
def test_a_baseline_of_another_question_is_not_compared(sample, change, reason):
    old = replace(sample, reference=replace(sample.reference, **change))
    found = with_baseline(sample, old, "old.json").models[0].baseline
    assert reason in found.incomparable
    assert found.differences == ()


def test_json_gives_the_record_back_and_stays_readable(sample, tmp_path):
    write_evidence(sample, tmp_path / "a.json")
    assert read_evidence(tmp_path / "a.json") == sample
    lines = (tmp_path / "a.json").read_text().splitlines()
    wide = [line for line in lines if len(line) > WIDTH + 40]
    assert all('": "' in line for line in wide)  # a text is never broken
    assert len(lines) < 5000


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"schema": 99}, "schema is 99, and this edge-rnn reads up to 1"),
        ({"schema": None}, "lacks the field schema"),
        ({"verdict": 3}, "$.verdict"),
        ({"models": {}}, "$.models"),
    ],
)
def test_a_record_that_is_none_is_refused_by_name(sample, tmp_path, change, sentence):
    file = tmp_path / "old.json"
    file.write_text(json.dumps({**sample.to_json(), **change}))
    with pytest.raises(DataError, match="old.json: not a record that can be read") as refused:
        read_evidence(file)
    assert sentence in str(refused.value)


def test_junit_has_a_case_for_each_engine_and_check(sample, tmp_path):
    (model,) = sample.models
    write_junit(sample, tmp_path / "a.xml")
    suite = ElementTree.parse(tmp_path / "a.xml").getroot().find("testsuite")
    cases = {case.get("name"): case for case in suite.findall("testcase")}
    for run in model.runs:
        for check in run.checks:
            assert f"{run.name} {run.version}: {check.name}" in cases
    assert suite.get("failures") == "0"
    assert int(suite.get("skipped")) == len(model.not_proven)
    assert int(suite.get("tests")) == len(cases)
    write_junit(replace(sample, strict=True), tmp_path / "b.xml")
    strict = ElementTree.parse(tmp_path / "b.xml").getroot().find("testsuite")
    weak = [check for run in model.runs for check in run.checks if check.verdict == "not refuted"]
    assert int(strict.get("failures")) == len(weak) > 0


def test_caches_are_read_as_linux_shows_them(tmp_path):
    for index, fields in enumerate(
        (("1", "Data", "32K"), ("1", "Instruction", "48K"), ("2", "Unified", "1M"))
    ):
        folder = tmp_path / f"sys/devices/system/cpu/cpu0/cache/index{index}"
        folder.mkdir(parents=True)
        for name, text in zip(("level", "type", "size"), fields):
            (folder / name).write_text(f"{text}\n")
    assert read_caches(tmp_path) == {"L1d": 32 << 10, "L1i": 48 << 10, "L2": 1 << 20}
    assert read_caches(tmp_path / "nowhere") == {}


@pytest.mark.parametrize("task", ["regression", "embedding"])
def test_numbers_have_errors_in_their_own_unit_and_in_spreads(compared, task):
    rng = np.random.default_rng(0)
    reference = (rng.normal(0, 1, (WINDOWS, CLASSES)) * [1, 2, 4, 8]).astype(np.float32)
    outputs = reference + np.float32(0.1)
    outputs[7, 3] += 8
    source = replace(compared.source, task=task, logits=reference, labelled=False)
    values = reference.astype(np.float64) + 3 if task == "regression" else None
    found = compare_numbers(replace(compared, source=source, values=values), outputs, None)
    numbers = found.numbers
    assert found.agreement is None
    assert found.worst[0].window == 1007
    assert numbers.normalized == pytest.approx(
        max(item.normalized for item in numbers.outputs), rel=1e-5
    )
    assert [item.mean for item in numbers.outputs[:3]] == pytest.approx([0.1] * 3, rel=1e-3)
    assert numbers.outputs[3].max == pytest.approx(8.1, rel=1e-3)
    assert numbers.normalized_low < numbers.normalized < numbers.normalized_high
    if task == "regression":
        assert numbers.worst_output == "idle"
        assert numbers.outputs[0].reference_rmse == pytest.approx(3)
        assert numbers.outputs[0].model_rmse == pytest.approx(2.9, rel=1e-3)
        assert numbers.cosine_min is None
    else:
        assert len({item.spread for item in numbers.outputs}) == 1
        assert numbers.cosine_min < numbers.cosine_mean < 1
    verdicts = [
        judged_run(answers(outputs), found, 0, ErrorBudget(most, least)).verdict
        for most, least in ((0.2, None), (0.01, None), (0.2, 0.9999 if task == "embedding" else None))
    ]
    assert verdicts == ["proven", "refuted", "refuted" if task == "embedding" else "proven"]
