"""A small assembler for seccomp's filters: classic BPF over struct seccomp_data (seccomp(2), linux/filter.h). Pure."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

ALLOW = 0x7FFF_0000  # linux/seccomp.h
KILL_PROCESS = 0x8000_0000
_ERRNO = 0x0005_0000
X32 = 0x4000_0000  # the bit that asks x86-64's kernel for a call of the x32 interface

_LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS
_AND = 0x54  # BPF_ALU | BPF_AND | BPF_K
_IF_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_IF_AT_LEAST = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_RETURN = 0x06  # BPF_RET | BPF_K

_NUMBER_AT = 0  # struct seccomp_data: int nr; __u32 arch; __u64 instruction_pointer; __u64 args[6];
_ARCHITECTURE_AT = 4
_ARGUMENTS_AT = 16
_INSTRUCTION = struct.Struct("=HBBI")  # struct sock_filter

Instruction = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Argument:
    """Argument `position` (from 0), of which only the bits of `mask` count, is one of `values`."""

    position: int
    values: tuple[int, ...]
    mask: int = 0xFFFF_FFFF_FFFF_FFFF


Rules = Mapping[int, Sequence[Argument]]
"""By the number of a system call, what must be true of its arguments."""


def refuse(error: int) -> int:
    """The verdict by which a call fails with this errno."""
    return _ERRNO | error


def assemble(architecture: int, rules: Rules, otherwise: int, unheard_of: tuple[int, int]) -> bytes:
    """The filter that allows what `rules` allow, and answers any other call with the verdict `otherwise`.

    Calls of another architecture, and x32's, end the process. `unheard_of`: from this number on this verdict, so that a
    C library newer than the filter asks for the older call instead."""
    first, verdict = unheard_of
    program: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_IF_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, KILL_PROCESS),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_IF_AT_LEAST, 0, 1, X32),
        (_RETURN, 0, 0, KILL_PROCESS),
        (_IF_AT_LEAST, 0, 1, first),
        (_RETURN, 0, 0, verdict),
    ]
    for number, arguments in sorted(rules.items()):
        checks = [_check(argument, otherwise) for argument in arguments]
        allowed = [*(step for check in checks for step in check), (_RETURN, 0, 0, ALLOW)]
        program += [(_IF_EQUAL, 0, len(allowed), number), *allowed]
    program.append((_RETURN, 0, 0, otherwise))
    return b"".join(_INSTRUCTION.pack(*step) for step in program)


def _check(argument: Argument, otherwise: int) -> list[Instruction]:
    """Goes on behind itself where the argument is as it must be. Arguments have 64 bits, BPF's words have 32: high half
    first (both supported architectures are little-endian)."""
    at = _ARGUMENTS_AT + 8 * argument.position
    halves = ((at + 4, argument.mask >> 32, 32), (at, argument.mask & 0xFFFF_FFFF, 0))
    program: list[Instruction] = []
    for where, mask, shift in halves:
        if not mask:
            continue
        program += [(_LOAD, 0, 0, where), (_AND, 0, 0, mask)]
        words = sorted({value >> shift & mask for value in argument.values})
        for position, word in enumerate(words):
            program.append((_IF_EQUAL, len(words) - position, 0, word))
        program.append((_RETURN, 0, 0, otherwise))
    return program
