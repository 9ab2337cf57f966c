"""Any steps, features, units, layers, cells and precisions: the file computes what Keras computes.

The same 40 models every time. `pytest --hypothesis-profile explore --hypothesis-seed N` tries others.
"""

from __future__ import annotations

import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from convert.compiler.compile import lower
from convert.model_file.flatbuffer import serialize
from tests.support.commands import CHILDREN, ENGINES, OFFERED
from tests.support.engines import invoke
from tests.support.rounding_cost import rounded_logits

LARGEST_ERROR = {
    "float32": 1e-4,
    "float16": 0.01,
    "int16x8": 0.05,
    "int4": 0.50,
}
"""Root mean square error of the logits, in proportion to their standard deviation over the windows."""

ONE_BIT = 2.0
"""dynamic, mixed and int8 have no such limit, because the cost of 8 bits in a random network varies
tenfold with its depth and widths. Their error may be as large as if every tensor had 7 bits: twice that
of 8 bits for each tensor by itself (rounding_cost). Shared scales, clipping and the kernels' own
rounding must not cost more."""

CALIBRATION = 120  # of the server's 200 windows; the others are compared

layer_settings = st.fixed_dictionaries(
    {
        "cell": st.sampled_from(["LSTM", "GRU", "SimpleRNN"]),
        "units": st.one_of(st.integers(1, 32), st.integers(1, 128)),
        "bidirectional": st.booleans(),
        "reset_after": st.booleans(),
    }
)
models = st.fixed_dictionaries(
    {
        "steps": st.integers(1, 64),
        "features": st.integers(1, 64),
        "classes": st.integers(2, 10),
        "seed": st.integers(0, 1000),
        "layers": st.lists(layer_settings, min_size=1, max_size=3),
    }
)


@pytest.fixture(scope="module")
def keras_server():
    command = [sys.executable, str(CHILDREN / "keras_server.py")]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    yield process
    process.stdin.close()
    process.wait(timeout=60)


@given(model=models, precision=st.sampled_from(OFFERED), engine=st.sampled_from(ENGINES))
@settings(
    deadline=None,
    phases=[Phase.generate],  # shrinking would build hundreds of Keras models
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_recurrent_model_is_close_to_keras(keras_server, tmp_path, model, precision, engine):
    path = tmp_path / "model.pickle"
    keras_server.stdin.write(json.dumps({**model, "path": str(path)}) + "\n")
    keras_server.stdin.flush()
    assert keras_server.stdout.readline() == "done\n"
    network, windows, logits = pickle.loads(path.read_bytes())
    graph = lower(network, windows[:CALIBRATION], precision=precision)
    inputs = graph.tensors[graph.input].encode(windows[CALIBRATION:])
    found = graph.tensors[graph.output].decode(invoke(serialize(graph), inputs, engine))
    expected = logits[CALIBRATION:]
    error = relative_error(found, expected)
    limit = LARGEST_ERROR.get(precision)
    if limit is None:
        rounded = rounded_logits(network, windows[:CALIBRATION], windows[CALIBRATION:])
        limit = ONE_BIT * relative_error(rounded, expected)
    print(f"{precision} on {engine}: {error:.2%}, {error / limit:.2f} of the limit, {model}")
    assert error <= limit


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    """Root mean square, in proportion to the standard deviation of what is expected."""
    return float(np.sqrt(np.mean((found - expected) ** 2)) / expected.std())
