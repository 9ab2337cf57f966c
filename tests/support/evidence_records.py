"""Records of edge-rnn parity with made-up numbers, in which everything that a record can hold occurs."""

from __future__ import annotations

import zlib
from collections import Counter
from dataclasses import replace

import numpy as np

from convert.evidence import figures, record

LABELS = ("still", "walking", "running", "<script>alert(1)</script>", "$x^2$ & \"more\" 'quotes'")
COUNT, STEPS, FEATURES = 600, 24, 3
GROUPS = ("ann", "bob", "<b>carl</b>", "dora")


def proportion(count: int, total: int) -> figures.Proportion:
    share, width = count / total, 1.96 * (0.25 / total) ** 0.5
    return figures.Proportion(count, total, max(0.0, share - width), min(1.0, share + width))


class MadeUpLogits:
    """Logits of a reference and of two results that differ a little."""

    def __init__(self, seed: int = 1, classes: int = len(LABELS)) -> None:
        generator = np.random.default_rng(seed)
        self.truth = generator.integers(0, classes, COUNT)
        self.reference = generator.normal(0, 1, (COUNT, classes))
        self.reference[np.arange(COUNT), self.truth] += 3
        noise = generator.normal(0, 1, self.reference.shape)
        self.results = [self.reference + 0.05 * noise, self.reference + 0.15 * noise]
        self.windows = np.cumsum(generator.normal(0, 0.3, (COUNT, STEPS, FEATURES)), axis=1)


def result_record(made: MadeUpLogits, logits: np.ndarray) -> record.ResultRecord:
    reference, model = made.reference.argmax(1), logits.argmax(1)
    errors = np.abs(logits - made.reference)
    margin = np.diff(np.sort(made.reference, 1)[:, -2:], axis=1)[:, 0]
    right, right_model = reference == made.truth, model == made.truth
    different = np.flatnonzero(reference != model)
    limit = float(errors.max())
    disagreements = tuple(
        figures.Disagreement(
            window=int(place),
            truth=int(made.truth[place]),
            reference=int(reference[place]),
            model=int(model[place]),
            reference_margin=float(margin[place]),
            near_tie=bool(margin[place] < limit),
            group=GROUPS[place % len(GROUPS)],
        )
        for place in different
    )
    pairs = Counter((item.reference, item.model) for item in disagreements)
    worst = sorted(range(COUNT), key=lambda place: (reference[place] == model[place], -errors[place].max()))
    return record.ResultRecord(
        logits_sha256="ab" * 32,
        window_hashes="".join(f"{zlib.crc32(row.tobytes()):08x}" for row in logits),
        logit_errors=figures.LogitErrors(
            float(errors.mean()), float(np.quantile(errors, 0.99)), limit, limit / 0.125
        ),
        worst=tuple(_worst_window(made, logits, place, limit, margin) for place in worst[:10]),
        agreement=proportion(COUNT - len(different), COUNT),
        accuracy=proportion(int(right_model.sum()), COUNT),
        mcnemar=figures.McNemar(int((right & ~right_model).sum()), int((right_model & ~right).sum()), 0.4),
        near_ties=sum(item.near_tie for item in disagreements),
        disagreements=disagreements,
        flips=tuple(figures.Flip(*pair, number, 1) for pair, number in pairs.most_common()),
        per_class=tuple(_per_class(made, reference, model, place) for place in range(len(LABELS))),
        groups=_groups(reference, model, made.truth),
        margins=_margins(margin, reference != model),
        calibration=figures.Calibration(_reliability(0.0), _reliability(0.03)),
    )


def _worst_window(made, logits, place, limit, margin) -> figures.WorstWindow:
    return figures.WorstWindow(
        window=int(place),
        truth=int(made.truth[place]),
        group=GROUPS[place % len(GROUPS)],
        reference=int(made.reference[place].argmax()),
        model=int(logits[place].argmax()),
        reference_logits=tuple(made.reference[place].tolist()),
        model_logits=tuple(logits[place].tolist()),
        max_logit_error=float(np.abs(logits[place] - made.reference[place]).max()),
        near_tie=bool(margin[place] < limit),
    )


def _per_class(made, reference, model, place) -> figures.PerClass:
    def scores(given: np.ndarray) -> figures.ClassScores:
        hits = int(((given == place) & (made.truth == place)).sum())
        precision, recall = hits / (given == place).sum(), hits / (made.truth == place).sum()
        return figures.ClassScores(precision, recall, 2 * precision * recall / (precision + recall))

    windows = int((made.truth == place).sum())
    return figures.PerClass(LABELS[place], windows, scores(reference), scores(model))


def _groups(reference, model, truth) -> tuple[figures.GroupFigures, ...]:
    found = []
    for index, name in enumerate(GROUPS):
        part = np.arange(COUNT) % len(GROUPS) == index
        size = int(part.sum())
        found.append(
            figures.GroupFigures(
                group=name,
                windows=size,
                agreement=proportion(int((reference == model)[part].sum()), size),
                reference_accuracy=proportion(int((reference == truth)[part].sum()), size),
                model_accuracy=proportion(int((model == truth)[part].sum()), size),
                mcnemar=figures.McNemar(1, 0, 1.0),
            )
        )
    return tuple(sorted(found, key=lambda item: item.agreement.share))


def _margins(margin, different) -> figures.Margins:
    edges = np.linspace(0, margin.max(), 21)
    counts = np.histogram(margin, edges)[0].tolist()
    return figures.Margins(
        tuple(edges.tolist()),
        tuple(counts),
        tuple(counts[::-1]),
        tuple(np.histogram(margin[different], edges)[0].tolist()),
    )


def _reliability(gap: float) -> figures.Reliability:
    bins = [
        figures.ReliabilityBin(
            low=place / 10,
            high=(place + 1) / 10,
            windows=0 if place < 2 else 10 * place,
            confidence=None if place < 2 else place / 10 + 0.05,
            accuracy=None if place < 2 else place / 10 + 0.02 - gap,
        )
        for place in range(10)
    ]
    return figures.Reliability(0.03 + gap, tuple(bins))


def drift() -> figures.Drift:
    steps = np.arange(STEPS)
    layer = figures.LayerDrift(
        layer="",
        errors={"h": tuple((0.01 + 0.001 * steps).tolist()), "c": tuple((0.02 + 0.003 * steps).tolist())},
        spread={"h": (0.5,) * STEPS, "c": (0.9,) * STEPS},
        gates={
            gate: tuple((1 + place * 0.1 + 0.2 * np.sin(steps / 4)).tolist())
            for place, gate in enumerate(("input", "forget", "candidate", "output", "state"))
        },
    )
    return figures.Drift(128, "The error of the cell state grows to 10 % of its spread.", (layer,))


SIZES = figures.Sizes(
    file_bytes=171_234,
    flatbuffer_bytes=152_344,
    parts={"model": 152_344, "metadata.json": 9_000, "probes.bin": 7_000},
    operators=(figures.OperatorCount("FULLY_CONNECTED", 57), figures.OperatorCount("LOGISTIC", 28)),
    flash_bytes=34_000,
    weight_bytes=33_000,
    window_ram_bytes=2_048,
    cost=figures.InstructionCount(1_234_567, 890, 12, 34, "callgrind, gcc 12 -O2, 32 KB of L1."),
    not_measured={"arena_bytes": "TFLM is not installed.", "stream_ram_bytes": "The graph is unrolled."},
)

RUNS = (
    record.EngineRun("native", "0.4.0", "avx2", True, record.PROVEN, "proven on 600 windows", 0),
    record.EngineRun("native", "0.4.0", "plain", True, record.PROVEN, "proven on 600 windows", 0),
    record.EngineRun("ai-edge-litert", "2.1.6", "default", True, record.NOT_REFUTED, "weak proof", 1),
    record.EngineRun(
        "tflite-runtime", "2.14.0", "default", False, record.NOT_RUN, "Node number 3 failed to prepare", None
    ),
)


def model_record(made: MadeUpLogits, name: str = "activity-int8.tflite") -> record.ModelRecord:
    results = tuple(result_record(made, logits) for logits in made.results)
    changed = record.ChangedWindow(17, 1, 1, 2)
    difference = record.Difference(
        runs=("native avx2", "native plain"),
        broken=(changed, replace(changed, window=18)),
        mended=(replace(changed, window=40, before=2, after=1),),
        changed=(),
        changed_logits=55,
        mcnemar=figures.McNemar(2, 1, 1.0),
        verdict="noise",
    )
    return record.ModelRecord(
        name=name,
        path=f"runs/activity/{name}",
        sha256="cd" * 32,
        flatbuffer_sha256="ef" * 32,
        precision="int8",
        target="any",
        graph="unrolled",
        tools={"edge-rnn": "0.4.0", "numpy": "1.26.4"},
        budget=record.BudgetRecord(0.995, 1.5),
        verdict=record.NOT_REFUTED,
        reason="ai-edge-litert gives the reference's class on 97.5 %.",
        runs=RUNS,
        results=results,
        not_proven=(record.NotProven("tflite-runtime 2.14.0", "It refuses the model <here>."),),
        sizes=SIZES,
        drift=drift(),
        notes=("Normalization is folded into the first matrix.",),
        baseline=record.BaselineRecord(
            "baseline.json", "2026-10-01T12:00:00Z", "0.3.0", "12" * 32, None, (difference,)
        ),
    )


def shown_windows(made: MadeUpLogits, models: tuple[record.ModelRecord, ...]) -> tuple[figures.ShownWindow, ...]:
    places = {worst.window for model in models for result in model.results for worst in result.worst}
    return tuple(
        figures.ShownWindow(place, tuple(tuple(row) for row in made.windows[place].tolist()))
        for place in sorted(places)
    )


def made_up_evidence(models: int = 1) -> record.Evidence:
    """A record of `models` files, of a classifier with labels that try to be markup."""
    made = MadeUpLogits()
    names = ("activity-int8.tflite", "activity-mixed.tflite", "activity-float32.tflite")[:models]
    records = tuple(model_record(made, name) for name in names)
    right = int((made.reference.argmax(1) == made.truth).sum())
    return record.Evidence(
        identity=record.Identity(
            made="2026-11-30T17:00:00Z",
            command="edge-rnn parity runs/activity runs/activity/activity-int8.tflite --report out.html",
            versions={"edge-rnn": "0.4.0", "python": "3.11.9", "numpy": "1.26.4", "tensorflow": "2.21.0"},
            platform="Linux-6.1-x86_64",
            cpu="Intel Xeon",
            cores=2,
            caches={"L1d": 32_768, "L1i": 32_768, "L2": 1_048_576},
        ),
        reference=record.ReferenceRecord(
            name="runs/activity",
            sha256="01" * 32,
            task="classification",
            labels=LABELS,
            steps=STEPS,
            features=FEATURES,
            data="activity.npz",
            data_sha256="23" * 32,
            windows_sha256="45" * 32,
            split="held out for the test",
            count=COUNT,
            positions=(),
            classes=tuple(made.reference.argmax(1).tolist()),
            truth=tuple(made.truth.tolist()),
            logits_sha256="67" * 32,
            accuracy=proportion(right, COUNT),
            versions={"keras": "3.12.0"},
        ),
        models=records,
        windows=shown_windows(made, records),
        verdict=record.NOT_REFUTED,
        summary="Not refuted: activity-int8.tflite gives the class of runs/activity on 97.50 % of 600 windows.",
    )
