"""The filters, run by an interpreter of BPF: what passes is what the rules say, on both architectures."""

from __future__ import annotations

import errno
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.sandbox import seccomp
from mailgate.sandbox.bpf import ALLOW, KILL_PROCESS, Argument, assemble, refuse

ARCHITECTURE = {"x86_64": 0xC000_003E, "aarch64": 0xC000_00B7}
PID = 4711


def run(program: bytes, number: int, architecture: int, arguments: tuple[int, ...] = ()) -> int:
    """The verdict of a filter; a jump out of the program or one without end is an error here as in the kernel."""
    data = struct.pack(
        "=iIQ6Q", number if number < 1 << 31 else number - (1 << 32), architecture, 0, *(*arguments, *[0] * 6)[:6]
    )
    steps = list(struct.iter_unpack("=HBBI", program))
    assert len(steps) <= 4096  # BPF_MAXINSNS
    at, word = 0, 0
    while True:
        code, if_true, if_false, operand = steps[at]
        at += 1
        match code:
            case 0x20:
                (word,) = struct.unpack_from("=I", data, operand)
            case 0x54:
                word &= operand
            case 0x15:
                at += if_true if word == operand else if_false
            case 0x35:
                at += if_true if word >= operand else if_false
            case 0x06:
                return operand
            case _:
                raise AssertionError(f"instruction {code:x}")


_VALUES = st.integers(0, (1 << 64) - 1) | st.integers(0, 3) | st.sampled_from([1 << 32, (1 << 32) + 1, (1 << 64) - 1])
_ARGUMENTS = st.builds(
    Argument, st.integers(0, 5), st.lists(_VALUES, min_size=1, max_size=4).map(tuple), st.just(0xFFFF_FFFF) | st.just(4)
)
_RULES = st.dictionaries(st.integers(0, 40), st.lists(_ARGUMENTS, max_size=2), max_size=8)


@given(_RULES, st.integers(0, 50), st.tuples(*[_VALUES] * 6))
def test_a_filter_allows_what_its_rules_allow(
    rules: dict[int, list[Argument]], number: int, arguments: tuple[int, ...]
) -> None:
    program = assemble(1, rules, refuse(errno.EPERM), (45, refuse(errno.ENOSYS)))
    is_allowed = number in rules and all(
        arguments[each.position] & each.mask in [value & each.mask for value in each.values] for each in rules[number]
    )
    expected = ALLOW if is_allowed else refuse(errno.EPERM)
    assert run(program, number, 1, arguments) == (refuse(errno.ENOSYS) if number >= 45 else expected)


@given(st.lists(_VALUES, min_size=1, max_size=3, unique=True), _VALUES)
def test_all_64_bits_of_one_value_count(values: list[int], value: int) -> None:
    program = assemble(1, {7: [Argument(2, (values[0],))]}, refuse(errno.EPERM), (45, 0))
    assert (run(program, 7, 1, (0, 0, value)) == ALLOW) == (value == values[0])


@pytest.mark.parametrize("machine", ARCHITECTURE)
@pytest.mark.parametrize("may_fork", [False, True])
def test_another_architecture_and_x32_end_the_process(machine: str, may_fork: bool) -> None:
    program = seccomp.filter_of(machine, PID, may_fork=may_fork)
    for other in (0, 0x4000_0003, *(set(ARCHITECTURE.values()) - {ARCHITECTURE[machine]})):  # i386 too
        assert run(program, 0, other) == KILL_PROCESS
    for number in (0x4000_0000, 0x4000_0001, 0x7FFF_FFFF, 0xFFFF_FFFF):
        assert run(program, number, ARCHITECTURE[machine]) == KILL_PROCESS


@pytest.mark.parametrize("machine", ARCHITECTURE)
def test_a_c_library_of_the_future_asks_for_the_older_call(machine: str) -> None:
    program = seccomp.filter_of(machine, PID, may_fork=False)
    assert run(program, 451, ARCHITECTURE[machine]) == refuse(errno.ENOSYS)
    assert run(program, 450, ARCHITECTURE[machine]) == refuse(errno.EPERM)


_X86_64 = {
    "fcntl": 72, "ioctl": 16, "mmap": 9, "mprotect": 10, "sendto": 44, "sendmsg": 46, "setsockopt": 54, "tgkill": 234,
    "clone": 56, "prctl": 157, "prlimit64": 302,
}  # fmt: skip


@pytest.mark.parametrize(
    ("call", "arguments", "is_allowed"),
    [
        ("fcntl", (3, 2, 1), True),
        ("fcntl", (3, 6, 0), True),  # F_SETLK: the verdicts' locks
        ("fcntl", (3, 8, 1), False),  # F_SETOWN
        ("fcntl", (3, 10, 9), False),  # F_SETSIG
        ("fcntl", (3, 15, 0), False),  # F_SETOWN_EX
        ("fcntl", (3, 0, 0), False),  # F_DUPFD
        ("ioctl", (3, 0x5421), True),  # FIONBIO
        ("ioctl", (3, 0x5412), False),  # TIOCSTI types into the terminal
        ("ioctl", (3, 0x8901), False),  # FIOSETOWN
        ("mmap", (0, 1, 3), True),
        ("mmap", (0, 1, 5), False),  # PROT_EXEC
        ("mprotect", (0, 1, 4), False),
        ("sendto", (3, 0, 0, 0x4000, 0, 0), True),
        ("sendto", (3, 0, 0, 0x2000_4000, 0, 0), False),  # MSG_FASTOPEN
        ("sendto", (3, 0, 0, 0, 0x7F00_0000_0000, 16), False),  # an address
        ("sendto", (3, 0, 0, 0, 1 << 32, 16), False),
        ("sendmsg", (3, 0, 0x4000), True),
        ("sendmsg", (3, 0, 0x2000_0000), False),
        ("setsockopt", (3, 6, 12), True),  # TCP_QUICKACK
        ("setsockopt", (3, 6, 31), False),  # TCP_ULP
        ("setsockopt", (3, 1, 12), False),  # SOL_SOCKET
        ("tgkill", (PID, PID, 6), True),
        ("tgkill", (PID + 1, PID + 1, 9), False),
        ("clone", (0x0120_0011,), False),
    ],
)
def test_what_an_inspector_may_ask_for(call: str, arguments: tuple[int, ...], is_allowed: bool) -> None:
    program = seccomp.filter_of("x86_64", PID, may_fork=False)
    verdict = run(program, _X86_64[call], ARCHITECTURE["x86_64"], arguments)
    assert verdict == (ALLOW if is_allowed else refuse(errno.EPERM))


@pytest.mark.parametrize(
    ("call", "arguments", "is_allowed"),
    [
        ("clone", (0x0120_0011,), True),  # fork(3)
        ("clone", (0x1120_0011,), False),  # CLONE_NEWUSER
        ("clone", (0x0005_0F00,), False),  # a thread
        ("prctl", (1, 9), True),  # PR_SET_PDEATHSIG
        ("prctl", (22, 2), True),  # PR_SET_SECCOMP
        ("prctl", (4, 1), False),  # PR_SET_DUMPABLE
        ("prlimit64", (0, 9), True),
        ("prlimit64", (1, 9), False),
    ],
)
def test_what_the_forker_may_ask_for(call: str, arguments: tuple[int, ...], is_allowed: bool) -> None:
    program = seccomp.filter_of("x86_64", PID, may_fork=True)
    verdict = run(program, _X86_64[call], ARCHITECTURE["x86_64"], arguments)
    assert verdict == (ALLOW if is_allowed else refuse(errno.EPERM))
