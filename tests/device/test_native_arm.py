"""The native engine's kernels on emulated Raspberry Pis: the numpy engine's bits on real digits.

float32 and float16 add in another order, so there the logits may differ a little.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

from convert.targets.precision import PRECISIONS
from tests.device.boards import CHILD
from tests.device.logits_child import at_once
from tests.support.commands import succeed
from tests.support.made_once import made_once

CASES = (
    pytest.param("cortex-a7", "plain", marks=pytest.mark.nightly),
    ("cortex-a7", "neon"),
    pytest.param("cortex-a53", "neon", marks=pytest.mark.nightly),
    pytest.param("cortex-a72", "plain", marks=pytest.mark.nightly),
    ("cortex-a72", "neon"),
    ("cortex-a76", "neon"),
    ("cortex-a76", "neon-dotprod"),
)

FLOAT = ("float32", "float16")
FLOAT_BOUND = 1e-5
"""The allowed difference, as a fraction of the logits' range."""


@pytest.fixture(scope="module")
def numpy_logits(boards, shared_folder) -> dict[str, np.ndarray]:
    """Precision -> the numpy engine's logits, computed here."""

    def make(folder):
        windows = np.load(boards.digits.windows)
        found = {name: at_once(boards.digits.models[name], windows) for name in PRECISIONS}
        np.savez(folder / "logits.npz", **found)

    with np.load(made_once(shared_folder / "native-arm-numpy", make) / "logits.npz") as logits:
        return dict(logits)


@pytest.mark.parametrize(("cpu", "kernels"), CASES)
def test_the_kernels_give_the_numpy_engines_logits(boards, board, numpy_logits, tmp_path, cpu, kernels):
    found = logits_on(board, boards.digits, kernels, tmp_path)
    for precision, expected in numpy_logits.items():
        logits = found[precision]
        if precision in FLOAT:
            bound = FLOAT_BOUND * float(np.ptp(expected))
            np.testing.assert_allclose(logits, expected, rtol=0, atol=bound, err_msg=precision)
        else:
            np.testing.assert_array_equal(logits, expected, err_msg=precision)


def logits_on(board, digits, kernels: str, folder) -> dict[str, np.ndarray]:
    """Precision -> the native engine's logits for all digits, computed on the board."""
    runs = [
        {
            "key": name,
            "model": str(digits.models[name]),
            "windows": str(digits.windows),
            "kernels": kernels,
        }
        for name in PRECISIONS
    ]
    job, logits = folder / "job.json", folder / "logits.npz"
    job.write_text(json.dumps({"engine": "native", "logits": str(logits), "runs": runs}))
    succeed(board.run("python", CHILD, job))
    said = json.loads(logits.with_suffix(".json").read_text())
    assert said == {}
    with np.load(logits) as found:
        return dict(found)
