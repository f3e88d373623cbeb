from __future__ import annotations

from tests.support.strace import parse


def test_a_whole_call_has_name_path_strings_and_result() -> None:
    (call,) = parse(['12 write(3</tmp/x y>, "he\\"llo", 6) = 6'])
    assert (call.pid, call.name, call.path, call.strings, call.result) == (12, "write", "/tmp/x y", ('he\\"llo',), 6)
    assert call.succeeded


def test_time_stamps_and_padding_are_passed_over() -> None:
    (call,) = parse(["7  1763867000.123456 fdatasync(4</v/spool.db-wal>)   = 0"])
    assert (call.name, call.path, call.result) == ("fdatasync", "/v/spool.db-wal", 0)


def test_a_call_cut_in_two_keeps_both_line_numbers() -> None:
    calls = parse(
        [
            "1 fdatasync(5</v/a-wal> <unfinished ...>",
            '2 sendto(9<TCP:[1]>, "250 ok\\r\\n", 8, 0, NULL, 0) = 8',
            "1 <... fdatasync resumed>)         = 0",
        ]
    )
    sync, sending = calls
    assert (sync.began, sync.ended, sync.result) == (0, 2, 0)
    assert (sending.began, sending.ended) == (1, 1)


def test_a_cut_call_keeps_the_arguments_of_both_halves() -> None:
    calls = parse(["1 recvfrom(5<TCP:[1]>,  <unfinished ...>", '1 <... recvfrom resumed>"abc", 3, 0, NULL, NULL) = 3'])
    assert calls[0].strings == ("abc",)


def test_a_failed_call_did_not_succeed() -> None:
    (call,) = parse(['3 openat(AT_FDCWD</>, "/none", O_RDONLY) = -1 ENOENT (No such file or directory)'])
    assert call.result == -1
    assert not call.succeeded


def test_a_call_without_an_end_did_not_succeed() -> None:
    (call,) = parse(["3 fsync(4</x> <unfinished ...>"])
    assert call.ended is None
    assert not call.succeeded


def test_the_descriptor_that_came_back_is_shown() -> None:
    (call,) = parse(['3 openat(AT_FDCWD</>, "x", O_CREAT|O_WRONLY, 0600) = 5</data/x>'])
    assert (call.result, call.target) == (5, "/data/x")


def test_signals_exits_and_noise_are_no_calls() -> None:
    assert (
        parse(["1 +++ exited with 0 +++", "1 --- SIGCHLD {si_signo=SIGCHLD} ---", "strace: Process 4 attached", ""])
        == []
    )


def test_a_result_inside_a_string_is_not_the_result() -> None:
    (call,) = parse(['1 write(3</x>, "f() = 7", 7) = -1 ENOSPC (No space left on device)'])
    assert call.result == -1
    assert call.strings == ("f() = 7",)
