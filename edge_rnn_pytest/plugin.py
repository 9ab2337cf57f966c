"""The options and fixtures. pytest imports this module in every run, so it imports little."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from convert.evidence.record import Evidence

MODEL_OPTION, REFERENCE_OPTION = "--edge-rnn-model", "--edge-rnn-reference"
HANDED_ON = {"--edge-rnn-data": "--data", "--edge-rnn-baseline": "--baseline"}
"""Option of pytest -> the option of `edge-rnn parity` that it becomes, for files that are read."""

REPORT_OPTION, JSON_OPTION = "--edge-rnn-report", "--edge-rnn-json"
MORE_OPTION = "--edge-rnn-options"
VERDICT_LINE = pytest.StashKey[str]()
"""The verdict line, once it is known."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("edge-rnn", "edge-rnn: hold a model file to limits")
    texts = {
        MODEL_OPTION: ("FILE", "The .tflite file of edge-rnn to test."),
        REFERENCE_OPTION: (
            "RUN",
            "The full model: a run directory, or a model file together with windows.",
        ),
        "--edge-rnn-data": ("NPZ", "Windows x, their classes y and groups, as edge-rnn parity --data."),
        "--edge-rnn-baseline": ("JSON", "An older record, to which the difference is shown."),
        REPORT_OPTION: ("HTML", "Write the page of the record."),
        JSON_OPTION: ("JSON", "Write the record, the next baseline."),
        MORE_OPTION: ("TEXT", "More options of edge-rnn parity, such as '--task regression'."),
    }
    for name, (kind, text) in texts.items():
        group.addoption(name, metavar=kind, default=None, help=text)


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say what is tested, if something is."""
    model = config.getoption(MODEL_OPTION)
    return f"edge-rnn: {model} against {config.getoption(REFERENCE_OPTION)}" if model else None


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Show the verdict line, whether tests passed or not."""
    if VERDICT_LINE in config.stash:
        terminalreporter.write_sep("-", "edge-rnn parity")
        terminalreporter.write_line(config.stash[VERDICT_LINE])


@pytest.fixture(scope="session")
def edge_rnn_model(pytestconfig: pytest.Config) -> Path:
    """The model file of --edge-rnn-model. Tests that need it fail without the option."""
    return _given(pytestconfig, MODEL_OPTION)


@pytest.fixture(scope="session")
def edge_rnn_reference(pytestconfig: pytest.Config) -> Path:
    """The full model of --edge-rnn-reference. Tests that need it fail without the option."""
    return _given(pytestconfig, REFERENCE_OPTION)


@pytest.fixture(scope="session")
def edge_rnn_evidence(
    edge_rnn_model: Path,
    edge_rnn_reference: Path,
    pytestconfig: pytest.Config,
    tmp_path_factory: pytest.TempPathFactory,
) -> Evidence:
    """What `edge-rnn parity` records about the model, measured once in a process of its own.

    Tests that need it fail with the command's message if the input is bad.
    """
    from edge_rnn_pytest.measure import measured_evidence

    given = {name: pytestconfig.getoption(option) for option, name in HANDED_ON.items()}
    given["--report"] = pytestconfig.getoption(REPORT_OPTION)
    options = [word for name, value in given.items() if value for word in (name, value)]
    options += shlex.split(pytestconfig.getoption(MORE_OPTION) or "")
    record = tmp_path_factory.mktemp("edge-rnn") / "record.json"
    evidence = measured_evidence(edge_rnn_reference, edge_rnn_model, record, options)
    if pytestconfig.getoption(JSON_OPTION):  # which may be the baseline
        shutil.copyfile(record, pytestconfig.getoption(JSON_OPTION))
    pytestconfig.stash[VERDICT_LINE] = str(evidence)
    return evidence


def _given(config: pytest.Config, option: str) -> Path:
    value = config.getoption(option)
    if value is None:
        pytest.fail(f"{option}: is missing. Give the file on pytest's command line.", pytrace=False)
    return Path(value)
