"""Measures what a proof on few windows says about a sound file and about wrong ones
(docs/guides/precisions.md).

    python -m benchmarks.few_windows runs/mnist [--precision int8]

Converts the run, runs the file on every held-out window in one engine, and then repeats the proof on
many random draws of few windows. The wrong files are made from the sound one's logits. Prints Markdown.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convert.options import ConversionOptions
from convert.pipeline import convert_source
from convert.proof.near_ties import near_ties
from convert.proof.parity import engine_logits
from convert.readers.open_source import open_source
from convert.readers.read_options import ReadOptions
from convert.targets.precision import PRECISIONS
from edge_runtime.model_file.binomial import NOT_REFUTED, PROVEN, REFUTED
from edge_runtime.model_file.parity_figures import EngineParity

DRAWS = 2000
WINDOWS = (27, 100, 600, 2000)
ENGINE = "ai-edge-litert"

Logits = NDArray[np.float32]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--precision", default="int8", choices=list(PRECISIONS))
    options = parser.parse_args()
    source = open_source(options.run, ReadOptions())
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "model.tflite")
        convert_source(
            source, file, precision=options.precision, options=ConversionOptions(min_agreement=0.0)
        )
        sound = engine_logits(file, source.held_out.x, engine=ENGINE)
    print(f"{options.precision} in {ENGINE}, {len(sound):,} windows, {DRAWS:,} draws of each size.\n")
    print(
        "| file | agreement | windows | another class in | near ties | proven | not refuted | refuted |"
    )
    print("|" + " --- |" * 8)
    for name, logits in files(source.logits, sound).items():
        for windows in WINDOWS:
            print(row(name, source.logits, logits, windows, options.precision))


def files(full: Logits, sound: Logits) -> dict[str, Logits]:
    """The file, and wrong ones: their name -> logits."""
    rng = np.random.default_rng(0)
    wrong, some = sound.copy(), rng.choice(len(full), len(full) // 20, replace=False)
    wrong[some] = np.roll(wrong[some], 1, axis=1)
    return {
        "as converted": sound,
        "wrong in one window of 20": wrong,
        "at chance": sound[rng.permutation(len(sound))],
    }


def row(name: str, full: Logits, logits: Logits, windows: int, precision: str) -> str:
    """The outcomes of DRAWS proofs, each on `windows` of the windows."""
    rng, budget = np.random.default_rng(1), PRECISIONS[precision].budget
    verdicts, flips, ties = [], 0, 0
    for _ in range(DRAWS):
        drawn = rng.choice(len(full), windows, replace=False)
        result = figures(full[drawn], logits[drawn])
        verdicts.append(result.verdict(budget, windows))
        flips += result.agreement < 1
        ties += result.near_ties > 0
    agreement = 100 * figures(full, logits).agreement
    shares = [100 * verdicts.count(verdict) / DRAWS for verdict in (PROVEN, NOT_REFUTED, REFUTED)]
    cells = [name, f"{agreement:.2f} %", f"{windows:,}"]
    cells += [f"{100 * count / DRAWS:.1f} %" for count in (flips, ties)]
    return f"| {' | '.join(cells + [f'{share:.1f} %' for share in shares])} |"


def figures(full: Logits, logits: Logits) -> EngineParity:
    """The figures of a proof that `convert` would record."""
    ties, margin = near_ties(full, logits)
    return EngineParity(
        ENGINE,
        "",
        True,
        agreement=float((full.argmax(axis=1) == logits.argmax(axis=1)).mean()),
        max_logit_difference=float(np.abs(full - logits).max()),
        near_ties=int(ties.sum()),
        near_tie_margin=margin,
    )


if __name__ == "__main__":
    main()
