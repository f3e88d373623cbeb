from __future__ import annotations

import socket
import threading

import pytest

from tests.support.transcript import parse, run


@pytest.fixture
def server() -> tuple[str, int]:
    """Answers EHLO with two lines, NOOP with 250, everything else with 500, and closes after QUIT."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        sock, _ = listener.accept()
        with sock, sock.makefile("rwb") as file:
            file.write(b"220 hello\r\n")
            file.flush()
            for line in file:
                word = line.split()[0]
                answer = {b"EHLO": b"250-me\r\n250 SIZE 10\r\n", b"NOOP": b"250 2.0.0 Ok\r\n", b"QUIT": b"221 bye\r\n"}
                file.write(answer.get(word, b"500 5.5.1 what\r\n"))
                file.flush()
                if word == b"QUIT":
                    return

    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()


def play(text: str, server: tuple[str, int]) -> None:
    run(parse(text, "case"), {"mx": server}, {"name": "x"})


def test_a_dialogue_that_agrees_passes(server: tuple[str, int]) -> None:
    greeting = "# greeting\nS: 220\nC: EHLO {name}\nS: 250\nS~ SIZE\nS! AUTH\n"
    play(greeting + "C: NOOP\nC: QUIT\nS: 250 2.0.0\nS: 2yz\nS: closed", server)


@pytest.mark.parametrize(
    "wrong",
    [
        "S: 250",
        "S: 220 other",
        "S: 4yz",
        "S: 220\nC: EHLO a\nS: 250\nS~ AUTH",
        "S: 220\nC: EHLO a\nS: 250\nS! SIZE",
        "S: closed",
    ],
)
def test_a_dialogue_that_differs_fails_with_its_line(server: tuple[str, int], wrong: str) -> None:
    with pytest.raises(AssertionError, match=r"case:\d: wanted"):
        play(wrong, server)


def test_raw_bytes_and_repetition() -> None:
    transcript = parse("C> NO\\x00OP {rep:ab*2}\\r\\n", "case")
    assert transcript.steps[0].text == "NO\0OP {rep:ab*2}\r\n"


def test_an_unknown_line_is_refused_with_its_number() -> None:
    with pytest.raises(ValueError, match="case:2"):
        parse("S: 220\nX: what", "case")
