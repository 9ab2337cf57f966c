"""Runs `edge-rnn parity` in a process of its own, which keeps TensorFlow out of the test process."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from convert.evidence.record import Evidence


def measured_evidence(reference: Path, model: Path, record: Path, options: Sequence[str]) -> Evidence:
    """The evidence, which is also written to the new file `record`. A refuted model is evidence, too.

    `options`: further options of the command. A test that asks for the evidence fails with the
    command's message if the command does.
    """
    from edge_runtime.host.child_process import run_module

    words = ["parity", str(reference), str(model), "--json", str(record), *options]
    ending = run_module("edge_runtime", *words)
    if not record.is_file():
        pytest.fail(f"edge-rnn {' '.join(words)}\n{ending}", pytrace=False)
    try:
        from convert.evidence.record import Evidence
    except ImportError as error:
        pytest.fail(f"edge-rnn: another module has the name of its package convert. {error}")
    return Evidence.from_json(json.loads(record.read_text("utf-8")))
