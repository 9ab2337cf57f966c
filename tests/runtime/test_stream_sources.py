"""`edge-rnn stream` over sockets and serial ports, whose other side is the test."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import struct
import time
from pathlib import Path

import numpy as np
import pytest

from edge_runtime import Classifier
from tests.support.model_files import write_model
from tests.support.stream_process import StreamProcess, connect, server, streaming

STEPS = 5
ROWS = np.random.default_rng(3).integers(10, 30, (7, 3)).astype(np.float32)
LINES = [" ".join(map(str, row)).encode() + b"\n" for row in ROWS]
BROKEN_OFF = "the connection broke off (Connection reset by peer)."


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "m.tflite", "int8")


@pytest.fixture(scope="module")
def logits(model) -> list[list[float]]:
    """The logits of the windows that end with rows 5, 6 and 7."""
    windows = np.stack([ROWS[end - STEPS : end] for end in range(STEPS, len(ROWS) + 1)])
    return Classifier(model).logits(windows).tolist()


@pytest.fixture(params=["tcp", "unix"])
def kind(request):
    return request.param


def reset(peer: socket.socket) -> None:
    """Close so that the other side sees a reset, as when a program dies or a router forgets."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


def assert_predicted(process: StreamProcess, logits: list[list[float]]) -> None:
    """The next answers are those of the rows 5, 6 and 7."""
    for number, expected in enumerate(logits, start=STEPS):
        answer = process.answer()
        assert (answer["row"], answer["logits"]) == (number, expected)


def listening(model: Path, kind: str, folder: Path, *options: object):
    address = "tcp:127.0.0.1:0" if kind == "tcp" else f"unix:{folder / 's'}"
    return streaming(model, "--from", address, "--listen", *options)


def test_rows_from_a_socket_until_it_closes(model, logits, kind, tmp_path):
    with server(kind, tmp_path) as (listener, address), streaming(model, "--from", address) as process:
        with listener.accept()[0] as peer:
            for byte in b"".join(LINES[:5]):  # one at a time
                peer.sendall(bytes([byte]))
            assert process.answer()["logits"] == logits[0]  # while the connection is open
            peer.sendall(LINES[5] + LINES[6])
        assert [answer["logits"] for answer in process.answers()] == logits[1:]
        assert process.end(code=0) == []


def test_a_peer_that_closes_in_the_middle_of_a_row(model, logits, kind, tmp_path):
    """The part of the row that arrived could be another row: `20.0 21.0 2`."""
    with server(kind, tmp_path) as (listener, address), streaming(model, "--from", address) as process:
        with listener.accept()[0] as peer:
            peer.sendall(b"".join(LINES[:5]) + LINES[5][:-4])
        *good, cut = process.answers()
        assert [answer["logits"] for answer in good] == logits[:1]
        assert cut == {"row": 6, "error": "the connection ended in the middle of the line"}
        assert process.end(code=2) == []


@pytest.mark.parametrize("options", [(), ("--drop-late", 100)])
def test_a_connection_that_is_reset_is_one_sentence_and_exit_code_2(model, logits, options):
    with (
        server("tcp", Path()) as (listener, address),
        streaming(model, "--from", address, *options) as process,
    ):
        peer, _ = listener.accept()
        peer.sendall(b"".join(LINES) + b"1 2")
        assert_predicted(process, logits)
        reset(peer)
        assert process.end(code=2) == [f"Error: {address}: {BROKEN_OFF}"]


def test_reconnect_starts_afresh_after_an_end_and_after_a_reset(model, logits):
    with (
        server("tcp", Path()) as (listener, address),
        streaming(model, "--from", address, "--reconnect", 0.1) as process,
    ):
        for close, error in ((socket.socket.close, None), (reset, f"{address}: {BROKEN_OFF}")):
            peer, _ = listener.accept()
            assert process.answer() == {"event": "connected", "peer": address}
            peer.sendall(b"".join(LINES))
            assert_predicted(process, logits)  # the first after 5 rows again
            close(peer)
            told = {"event": "disconnected", "peer": address, "rows": 7}
            assert process.answer() == (told | {"error": error} if error else told)
        listener.accept()[0].close()
        process.terminate()
        assert process.end(code=-signal.SIGTERM) == []


def test_reconnect_waits_for_a_server_that_is_not_running_yet(model, logits, tmp_path):
    path = tmp_path / "s"
    with streaming(model, "--from", f"unix:{path}", "--reconnect", 0.05) as process:
        answer = process.answer()
        assert answer["event"] == "unreachable"
        assert answer["error"].endswith("cannot be opened (No such file or directory).")
        time.sleep(0.3)  # several more attempts, which print nothing
        with server("unix", tmp_path) as (listener, _), listener.accept()[0] as peer:
            assert process.answer()["event"] == "connected"
            peer.sendall(b"".join(LINES))
            assert_predicted(process, logits)


def test_listening_answers_one_peer_after_the_other(model, logits, kind, tmp_path):
    with listening(model, kind, tmp_path) as process:
        address = process.answer()["address"]
        with connect(address) as first, connect(address) as second:
            assert process.answer()["event"] == "connected"
            second.sendall(b"".join(LINES))  # it has to wait
            first.sendall(b"".join(LINES[:6]) + b"12")
            assert [process.answer()["logits"] for _ in range(2)] == logits[:2]
            first.close()
            assert process.answer()["row"] == 7  # cut
            assert process.answer()["event"] == "disconnected"
            assert process.answer()["event"] == "connected"
            assert_predicted(process, logits)
            reset(second)
        assert process.answer()["event"] == "disconnected"
        process.terminate()
        assert process.end(code=-signal.SIGTERM) == []
    assert list(tmp_path.iterdir()) == []  # the socket is gone


def test_ctrl_c_while_another_thread_waits_for_the_next_row(model, kind, tmp_path):
    with (
        server(kind, tmp_path) as (listener, address),
        streaming(model, "--from", address, "--drop-late", 5) as process,
        listener.accept()[0] as peer,
    ):
        peer.sendall(b"x\n")
        assert "error" in process.answer()
        process.send_signal(signal.SIGINT)
        assert process.end(code=130) == []


def test_replies_go_to_the_peer_and_events_to_standard_output(model, logits, kind, tmp_path):
    with listening(model, kind, tmp_path, "--reply") as process:
        address = process.answer()["address"]
        with connect(address) as peer:
            peer.sendall(b"x\n" + b"".join(LINES))
            peer.shutdown(socket.SHUT_WR)
            replies = peer.makefile("rb").read().decode().splitlines()
        assert '"error"' in replies[0]
        assert [reply for reply, row in zip(replies[1:], logits) if str(row) not in reply] == []
        assert len(replies) == 4
        assert [process.answer()["event"] for _ in range(2)] == ["connected", "disconnected"]


def test_a_peer_that_does_not_wait_for_its_replies_ends_nobody_else(model, logits):
    with listening(model, "tcp", Path(), "--reply") as process:
        address = process.answer()["address"]
        rude = connect(address)
        rude.sendall(b"".join(LINES) * 1000)
        assert process.answer()["event"] == "connected"
        rude.recv(100)  # it answers
        reset(rude)
        left = process.answer()
        assert left["event"] == "disconnected"
        assert "the connection broke off" in left["error"]
        with connect(address) as peer:
            peer.sendall(b"".join(LINES))
            assert str(logits[0]) in peer.makefile().readline()


@pytest.mark.parametrize("options", [(), ("--drop-late", 5)])
def test_a_connection_that_replies_cannot_be_sent_to_is_one_sentence(model, options):
    with (
        server("tcp", Path()) as (listener, address),
        streaming(model, "--from", address, "--reply", *options) as process,
    ):
        peer, _ = listener.accept()
        peer.sendall(b"x\n")
        assert peer.recv(1) == b"{"
        reset(peer)
        (error,) = process.end(code=2)
        assert error == f"Error: {address}: {BROKEN_OFF}"


def test_a_path_that_an_earlier_process_left_is_used_again_and_one_in_use_is_not(model, tmp_path):
    address = f"unix:{tmp_path / 's'}"
    with streaming(model, "--from", address, "--listen") as killed:
        assert killed.answer()["event"] == "listening"
        killed.kill()
    assert (tmp_path / "s").exists()
    with streaming(model, "--from", address, "--listen") as first:
        assert first.answer()["event"] == "listening"
        with streaming(model, "--from", address, "--listen") as second:
            (error,) = second.end(code=2)
        assert error == f"Error: {address}: cannot listen at this address (Address already in use)."
        with connect(address):
            assert first.answer()["event"] == "connected"


def test_an_address_in_use_by_one_that_is_busy(model, tmp_path):
    """The server's queue is full, and a process that connects must not wait until it is not."""
    address = f"unix:{tmp_path / 's'}"
    with streaming(model, "--from", address, "--listen") as first:
        assert first.answer()["event"] == "listening"
        with contextlib.ExitStack() as peers:
            with contextlib.suppress(BlockingIOError):
                while True:
                    peers.enter_context(connect(address))
            with streaming(model, "--from", address, "--listen") as second:
                (error,) = second.end(code=2)
            assert "Address already in use" in error


@pytest.fixture
def port():
    """Our end of a pseudo-terminal, and the path of the other end, which is the device."""
    pytest.importorskip("serial", reason="pyserial is not installed")
    ours, theirs = os.openpty()
    yield ours, os.ttyname(theirs)
    os.close(theirs)


def test_rows_from_a_serial_port_until_it_is_unplugged(model, logits, port):
    ours, device = port
    arguments = ("--from", f"serial:{device}:9600", "--reconnect", 0.1)
    with streaming(model, *arguments) as process:
        assert process.answer() == {"event": "connected", "peer": f"serial:{device}:9600"}
        for line in LINES[:5]:
            os.write(ours, line[:4])
            os.write(ours, line[4:].replace(b"\n", b"\r\n"))
        assert process.answer()["logits"] == logits[0]
        os.write(ours, b"1 2\r\n" + LINES[5])
        assert process.answer()["error"] == "the line holds an array of shape [2]. Expected [3]."
        assert process.answer()["logits"] == logits[1]
        os.close(ours)
        left = process.answer()
        assert (left["event"], left["rows"]) == ("disconnected", 6)
        assert "the connection broke off" in left["error"]
        process.terminate()
        process.end(code=-signal.SIGTERM)


def test_ctrl_c_while_another_thread_waits_for_the_serial_port(model, port):
    ours, device = port
    arguments = ("--from", f"serial:{device}", "--drop-late", 5, "--reconnect", 1)
    with streaming(model, *arguments) as process:
        assert process.answer()["event"] == "connected"
        os.write(ours, b"x\n")
        assert "error" in process.answer()
        process.send_signal(signal.SIGINT)
        assert process.end(code=130) == []


@pytest.mark.parametrize("options", [(), ("--drop-late", 5)])
def test_an_unplugged_serial_port_is_one_sentence_and_exit_code_2(model, port, options):
    ours, device = port
    with streaming(model, "--from", f"serial:{device}", "--reply", *options) as process:
        reply = b""
        while b"not a row of numbers" not in reply:  # rows that come before the port is open are lost
            os.write(ours, b"x\n")
            if select.select([ours], [], [], 0.2)[0]:
                reply += os.read(ours, 4096)
        os.close(ours)
        (error,) = process.end(code=2)
    assert error.startswith(f"Error: serial:{device}:115200: the connection broke off (")
