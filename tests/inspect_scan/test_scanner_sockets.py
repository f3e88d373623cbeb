"""Connections to scanners that are handed in: to the endpoints of the settings, and nothing else."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailgate.inspect import scanner_sockets
from mailgate.inspect.scanner_sockets import ByRequest
from tests.support.gateway import short_folder

Channel = tuple[socket.socket, list[str]]


@pytest.fixture
def folder() -> Iterator[Path]:
    made = short_folder("mg-ask-")
    yield made
    for file in made.iterdir():
        file.unlink()
    made.rmdir()


@pytest.fixture
def scanner(folder: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "clamd.sock"))
        listener.listen()
        listener.settimeout(30)
        yield listener


@pytest.fixture
def asking(folder: Path, scanner: socket.socket) -> Iterator[Channel]:
    """The end of who asks, and the endpoints that are answered for: one listens, one does not."""
    endpoints = [f"unix:{folder}/clamd.sock", f"unix:{folder}/none.sock", f"tcp:{'a' * 70}.example:3310"]
    ours, theirs = scanner_sockets.channel()
    thread = threading.Thread(target=scanner_sockets.answer, args=(theirs, endpoints))
    thread.start()
    yield ours, endpoints
    ours.close()
    thread.join(30)
    assert not thread.is_alive()
    theirs.close()


def test_a_connected_socket_comes_with_the_patience_asked_for(asking: Channel, scanner: socket.socket) -> None:
    link, endpoints = asking
    with ByRequest(link, endpoints)(endpoints[0], 7.5) as connection:
        assert connection.gettimeout() == 7.5
        served, _ = scanner.accept()
        with served:
            served.sendall(b"hello")
            assert connection.recv(5) == b"hello"
    # the answering end keeps no copy: the scanner sees the end of the session
    assert served.fileno() == -1


def test_tcp_by_name_and_address_without_delay() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        for host in ("127.0.0.1", "localhost"):
            with scanner_sockets.directly(f"tcp:{host}:{server.getsockname()[1]}", 5) as connection:
                assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_what_went_wrong_is_told(asking: Channel) -> None:
    link, endpoints = asking
    with pytest.raises(OSError, match="No such file or directory"):
        ByRequest(link, endpoints)(endpoints[1], 5)


def test_a_name_that_is_none_is_trouble_too(asking: Channel) -> None:
    link, endpoints = asking
    with pytest.raises(OSError, match="label"):
        ByRequest(link, endpoints)(endpoints[2], 5)


def ask(link: socket.socket, packet: bytes) -> tuple[bytes, list[int]]:
    link.settimeout(30)
    link.send(packet)
    data, descriptors, _, _ = socket.recv_fds(link, 300, 4)
    return data, list(descriptors)


@pytest.mark.parametrize("position", [3, 4, 255])
def test_there_are_no_other_endpoints(asking: Channel, position: int) -> None:
    assert ask(asking[0], struct.pack("!IBI", 7, position, 1000)) == (b"\0\0\0\7there is no such endpoint", [])


@pytest.mark.parametrize("junk", [b"x", b"x" * 8, b"x" * 10, b"unix:/run/other.sock", b"x" * 60_000])
def test_what_is_no_question_is_not_answered_and_the_next_is(asking: Channel, junk: bytes) -> None:
    link, endpoints = asking
    link.send(junk)
    with ByRequest(link, endpoints)(endpoints[0], 5):
        pass


def test_descriptors_that_are_sent_along_are_not_taken(asking: Channel) -> None:
    link, endpoints = asking
    ours, theirs = os.pipe()
    socket.send_fds(link, [b"x"], [theirs])
    os.close(theirs)
    with ByRequest(link, endpoints)(endpoints[0], 5):
        assert os.read(ours, 1) == b""  # nobody holds the other end
    os.close(ours)


def test_an_answer_to_one_that_is_gone_is_thrown_away_with_its_socket(asking: Channel, scanner: socket.socket) -> None:
    """The channel outlives the inspector, whose question may still be answered when the next one asks."""
    link, endpoints = asking
    link.send(struct.pack("!IBI", 7, 0, 1000))
    link.send(struct.pack("!IBI", 8, 1, 1000))
    first, _ = scanner.accept()
    with ByRequest(link, endpoints)(endpoints[0], 5) as connection, first:
        second, _ = scanner.accept()
        with second:
            second.sendall(b"yours")
            assert connection.recv(5) == b"yours"
        first.settimeout(30)
        assert first.recv(1) == b""


def test_without_anybody_who_answers_it_is_an_error() -> None:
    ours, theirs = scanner_sockets.channel()
    theirs.close()
    with ours, pytest.raises(OSError):
        ByRequest(ours, ["unix:/x"])("unix:/x", 5)
