"""`edge-rnn stream` on standard input and a serial port, as a real process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from edge_runtime import Classifier
from tests.support.commands import edge_rnn
from tests.support.model_files import write_model
from tests.support.stream_process import streaming

STEPS = 5
ROWS = np.random.default_rng(3).integers(10, 30, (12, 3)).astype(np.float32)
LINES = [" ".join(map(str, row)).encode() + b"\n" for row in ROWS]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "m.tflite", "int8")


@pytest.fixture(scope="module")
def step_model(tmp_path_factory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "s.tflite", "int8", "step")


def logits_at(model: Path, row: int) -> list[float]:
    """The logits of the window that ends with that row, numbered from 1."""
    return Classifier(model).predict(ROWS[row - STEPS : row]).logits.tolist()


def test_every_row_is_answered_while_the_input_is_open(model):
    """Each answer must arrive before the next row is sent, or a live sensor would never see one."""
    with streaming(model, "--top", 2) as process:
        process.send(b"".join(LINES[: STEPS - 1]))
        for number in range(STEPS, len(LINES) + 1):
            process.send(LINES[number - 1])
            answer = process.answer()
            assert answer["row"] == number
            assert answer["logits"] == logits_at(model, number)
            assert answer["label"] == answer["top"][0]["label"]
            assert len(answer["top"]) == 2
        process.end(code=0)


def test_bad_rows_are_reported_and_leave_no_trace(model):
    bad = [b"1 2\n", b"one two three\n", b"nan 1 2\n", b"\xff\xfe\x00\n", b"1e300 0 0\n", b"[1, 2\n"]
    text = [b"\n", *LINES[:7], *bad, b"  \r\n", *LINES[7:-1], LINES[-1].replace(b"\n", b"\r\n")]
    with streaming(model) as process:
        process.send(b"".join(text))
        process.stdin.close()
        answers = process.answers()
        process.end(code=2)
    errors = {answer["row"]: answer["error"] for answer in answers if "error" in answer}
    assert list(errors) == [9, 10, 11, 12, 13, 14]
    assert errors[9] == "the line holds an array of shape [2]. Expected [3]."
    assert "not a row of numbers" in errors[10]
    assert "NaN" in errors[11]
    good = {answer["row"]: answer["logits"] for answer in answers if "error" not in answer}
    expected = [logits_at(model, row) for row in range(STEPS, len(LINES) + 1)]
    assert list(good) == [6, 7, 8, 16, 17, 18, 19, 20]
    assert list(good.values()) == expected


def test_the_last_line_of_standard_input_needs_no_newline(model):
    with streaming(model) as process:
        process.send(b"".join(LINES)[:-1])
        process.stdin.close()
        assert process.answers()[-1]["logits"] == logits_at(model, len(LINES))
        process.end(code=0)


def test_an_endless_line_is_reported_at_once_and_takes_no_memory(model):
    peaks = []
    for megabytes in (0, 64):
        with streaming(model) as process:
            process.send(b"7" * 10_000)
            assert "the line is longer than" in process.answer()["error"]
            for _ in range(megabytes):
                process.send(b"7" * 2**20)
            process.send(b"\n" + b"".join(LINES[:STEPS]))
            answer = process.answer()
            assert (answer["row"], answer["logits"]) == (STEPS + 1, logits_at(model, STEPS))
            process.stdin.close()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            assert process.returncode == 2
            peaks.append(usage.ru_maxrss)  # KiB
    assert peaks[1] - peaks[0] < 8 * 1024


def test_hop(model):
    rows = [5, 8, 11]
    with streaming(model, "--hop", 3) as process:
        process.send(b"".join(LINES))
        process.stdin.close()
        answers = process.answers()
        process.end(code=0)
    assert [answer["row"] for answer in answers] == rows
    assert [answer["logits"] for answer in answers] == [logits_at(model, row) for row in rows]


def test_step_file_with_restart(step_model):
    with streaming(step_model, "--restart") as process:
        process.send(b"".join(LINES[:10]))
        process.stdin.close()
        found = [answer["logits"] for answer in process.answers()]
        process.end(code=0)
    expected = Classifier(step_model).logits_by_row(ROWS[:10].reshape(2, STEPS, 3))
    np.testing.assert_array_equal(np.float32(found), expected.reshape(10, -1))
    with streaming(step_model, "--hop", 4) as process:
        process.send(b"".join(LINES))
        process.stdin.close()
        answers = process.answers()
        process.end(code=0)
    assert [answer["row"] for answer in answers] == [4, 8, 12]
    assert answers[0]["logits"] == found[3]
    assert answers[1]["logits"] != found[7]


def test_a_producer_that_is_faster_than_the_reader_of_the_answers_blocks(model):
    """While the answers are not read, the rows wait. None is lost when reading starts."""
    rows = 15_000
    data = b"20 20 20\n" * rows
    with streaming(model) as process:
        process.send(data[: 9 * STEPS])
        assert process.answer()["row"] == STEPS
        sent = 9 * STEPS + process.send_until_blocked(data[9 * STEPS :], seconds=1)
        assert sent < 100_000  # a pipe of 64 KiB, a buffer, and the rows whose answers fill a pipe
        threading.Thread(target=lambda: (process.send(data[sent:]), process.stdin.close())).start()
        numbers = [answer["row"] for answer in process.answers()]
        process.end(code=0)
    assert numbers == list(range(STEPS + 1, rows + 1))


def test_with_drop_late_the_producer_never_waits_and_the_newest_rows_are_answered(model):
    rows = 40_000
    with streaming(model, "--drop-late", 10) as process:
        assert process.send_until_blocked(b"20 20 20\n" * rows, seconds=20) == 9 * rows
        process.stdin.close()
        answers = process.answers()
        process.end(code=0)
    answered = [answer["row"] for answer in answers if "label" in answer]
    dropped = [answer for answer in answers if "dropped" in answer]
    lost = [row for answer in dropped for row in range(answer["rows"][0], answer["rows"][1] + 1)]
    assert answered[-10:] == list(range(rows - 9, rows + 1))
    assert sum(answer["dropped"] for answer in dropped) == len(lost) > rows / 2
    # Every row is answered, reported as dropped, or one of the first that fill the window.
    assert len({*answered, *lost}) == len(answered) + len(lost) == rows - (STEPS - 1)


@pytest.mark.parametrize("options", [(), ("--drop-late", 3)])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_signals_end_it_quietly(model, options, number, code):
    with streaming(model, *options) as process:
        process.send(b"x\n")
        assert "error" in process.answer()  # it is running and waits for the next row
        process.send_signal(number)
        assert process.wait(30) == code
        assert process.end(code=code) == []


def test_sigterm_ends_it_while_nobody_reads_the_answers(model):
    with streaming(model) as process:
        process.send(b"x\n")
        assert "error" in process.answer()
        process.send_until_blocked(b"20 20 20\n" * 15_000, seconds=1)
        process.terminate()
        assert process.wait(30) == -signal.SIGTERM


@pytest.mark.parametrize("options", [(), ("--drop-late", 3)])
def test_a_reader_of_the_answers_that_leaves_ends_it_quietly(model, options):
    with streaming(model, *options) as process:
        process.stdout.close()
        process.send(b"x\nx\nx\n")
        assert process.end(code=1) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from", "rows.txt"], "--from: unknown source 'rows.txt'. Expected -, serial:DEVICE"),
        (["--from", "tcp:localhost"], "--from: unknown source 'tcp:localhost'. Expected"),
        (["--from", "tcp:localhost:99999"], "Expected -, serial:DEVICE"),
        (["--from", "tcp:127.0.0.1:1"], "tcp:127.0.0.1:1: cannot be opened (Connection refused)"),
        (["--from", "tcp:a..b:1"], "tcp:a..b:1: not a host name"),
        (["--from", "unix:absent"], "unix:absent: cannot be opened (No such file or directory)"),
        (["--from", "unix:m.tflite", "--listen"], "unix:m.tflite: cannot listen at this address"),
        (["--listen"], "--listen: goes with tcp:HOST:PORT and unix:PATH only, found standard input"),
        (["--from", "unix:s", "--listen", "--reconnect", "1"], "--reconnect: has no meaning with"),
        (["--reply"], "--reply: goes with sockets and serial ports only, found standard input"),
        (["--reconnect", "1"], "--reconnect: goes with sockets and serial ports only"),
        (
            ["--from", "unix:s", "--reconnect", "0"],
            "--reconnect: expected more than 0 seconds, at most 1,000,000, found 0.0.",
        ),
        (
            ["--from", "unix:s", "--reconnect", "1e10"],
            "--reconnect: expected more than 0 seconds, at most 1,000,000, found 10000000000.0.",
        ),
        (["--hop", "0"], "--hop: expected a whole number of rows, at least 1, found 0."),
        (["--top", "0"], "--top: expected at least 1, found 0."),
        (["--drop-late", "0"], "--drop-late: expected at least 1 row, found 0."),
        (["--restart"], "m.tflite: --restart is for step files"),
        (["--engine", "coral"], "unknown engine 'coral'"),
    ],
)
def test_wrong_options_are_one_sentence_and_exit_code_2(model, arguments, message):
    result = edge_rnn("stream", "m.tflite", *arguments, cwd=model.parent, input="")
    assert result.returncode == 2
    sentences = [line for line in result.stderr.splitlines() if "XNNPACK delegate" not in line]
    assert len(sentences) == 1
    assert sentences[0].startswith("Error: ")
    assert message in sentences[0]


def test_a_serial_port_without_pyserial_names_the_extra(model):
    run = "import sys; sys.modules['serial'] = None; from edge_runtime.cli import main; main()"
    command = [sys.executable, "-c", run, "stream", model, "--from", "serial:/dev/ttyUSB0"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "needs pyserial, which is not installed. Run pip install 'edge-rnn[serial]'." in result.stderr
    assert "Traceback" not in result.stderr
