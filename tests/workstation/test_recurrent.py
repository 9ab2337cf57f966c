"""The recurrent layers of the training step against Keras's own, forward and backward."""

from __future__ import annotations

import json

import pytest

from tests.support.command_server import run_python
from tests.support.commands import succeed
from tests.support.recurrent_layers import NAMES, case_name, cases

TOLERANCES = {"float32": 1e-5, "float64": 1e-12}  # other orders of summation


@pytest.fixture(scope="module")
def errors(tmp_path_factory):
    file = tmp_path_factory.mktemp("recurrent") / "errors.json"
    succeed(run_python("from tests.support.recurrent_layers import main; main()", file))
    return {(record["case"], record["name"]): record["error"] for record in json.loads(file.read_text())}


@pytest.mark.parametrize("case", [case_name(*case) for case in cases()])
def test_outputs_and_gradients_are_those_of_keras(errors, case):
    found = {name: errors[case, name] for name in NAMES}
    tolerance = TOLERANCES[case.split()[-1]]
    assert all(error < tolerance for error in found.values()), found
