"""Pure: may these bytes be a raw DOS program (`.com`)? Such a file has no header: it is code from its first byte on, so
only its instructions tell it from any other file whose name ends like that, a domain's or an address'."""

from __future__ import annotations

import re

LARGEST = 0xFF00  # bytes: DOS loads the file into one segment, behind its prefix and in front of the stack
_MOST_INSTRUCTIONS = 400
# Code of printable bytes only must write over what follows it, as EICAR does: registers are loaded from constants by
# way of the stack, then `sub` or `xor` hits memory. Each instruction begins with another character.
_PLACE = rb"(?:[.>&6]..|[!-%'-\-/-57-=?]|[@-~].)"
_PRINTABLE = re.compile(
    rb"(?:[.>&6]|['/7?@-`]|[$,4<j].|[%%=h5-]..|[\"#*+238-;]%(place)s){1,64}[()01!]%(place)s[!-~]{16}"
    % {b"place": _PLACE},
    re.DOTALL,
)
_POP = re.compile(rb"[X-_]")
_SERVICES = frozenset((*range(0x10, 0x1B), *range(0x20, 0x30), 0x33, 0x67))  # interrupts of BIOS and DOS
_PREFIXES = frozenset(b"\x26\x2e\x36\x3e\x64\x65\x66\xf0\xf2\xf3")
_WIDE, _REPEATED = 0x66, (0xF2, 0xF3)
_MOVES = frozenset(b"\xa4\xa5\xaa\xab")  # movs, stos
_ARITHMETIC = frozenset(first + low for first in range(0, 0x40, 8) for low in range(4))
_WRITES = frozenset((*(first + low for first in range(0, 0x38, 8) for low in (0, 1)), *b"\x80\x81\x83\x88\x89\xc6\xc7"))
_WITH_PLACE = (
    _ARITHMETIC
    | frozenset(
        (*b"\x62\x69\x6b", *range(0x80, 0x90), *b"\xc0\xc1", *range(0xC4, 0xC8), *range(0xD0, 0xD4), *range(0xD8, 0xE0))
    )
    | frozenset(b"\xf6\xf7\xfe\xff")
)
_BYTE = frozenset(
    (*range(4, 0x40, 8), *b"\x6a\x6b\x80\x82\x83\xa8\xc0\xc1\xc6\xcd\xd4\xd5\xeb", *range(0xB0, 0xB8))
) | frozenset((*range(0x70, 0x80), *range(0xE0, 0xE8)))
_WORD = frozenset((*range(5, 0x40, 8), *b"\x68\x69\x81\xa9\xc7", *range(0xB8, 0xC0)))
_TWO, _THREE, _FOUR = frozenset(b"\xa0\xa1\xa2\xa3\xc2\xca\xe8\xe9"), 0xC8, (0x9A, 0xEA)
_CONDITIONAL = frozenset((*range(0x70, 0x80), *range(0xE0, 0xE4)))
_ENDS = frozenset(b"\xc2\xc3\xca\xcb\xcf\xea\xf4")  # returns, far jump, halt
_ONLY_MEMORY, _ONLY_FIRST = frozenset(b"\x62\x8d\xc4\xc5"), frozenset(b"\x8f\xc6\xc7")
_EXTENDED_PLACE = frozenset(
    (*range(4), *range(0x90, 0xA0), *b"\xa3\xa4\xa5\xab\xac\xad\xaf\xc0\xc1", *range(0xB0, 0xC0))
)
_EXTENDED_BARE = frozenset(b"\x06\x08\x09\xa0\xa1\xa2\xa8\xa9\x30\x31\x32") | frozenset(range(0xC8, 0xD0))
_EXTENDED_BYTE = frozenset(b"\xa4\xac\xba")


def may_be_printable(data: bytes) -> bool:
    """For text: does it begin as a program does that has no byte but printable ones?"""
    match = _PRINTABLE.match(data) if len(data) <= LARGEST else None
    return match is not None and len(_POP.findall(match[0])) > 1


def may_be_code(data: bytes) -> bool:
    """Do instructions of an 8086 to 80386 begin here that call DOS or the BIOS, copy themselves, jump where a register
    points to, or decode what follows? What is no instruction before the first branch is no program at all."""
    if not data or len(data) > LARGEST:
        return False
    left, seen = [(0, False)], set[int]()  # each with whether memory was written on the way there
    while left and len(seen) < _MOST_INSTRUCTIONS:
        at, writes = left.pop()
        while 0 <= at < len(data) and at not in seen and len(seen) < _MOST_INSTRUCTIONS:
            seen.add(at)
            step = _Instruction(data, at)
            if not step.is_valid or step.end > len(data):
                break
            if step.is_telling:
                return True
            writes = writes or step.writes
            if step.target is not None and step.target in seen and writes and step.target <= at:
                return True
            if step.target is not None and not step.is_final:
                left.append((step.target, writes))
            at = step.end if not step.is_final else -1 if step.target is None else step.target
    return False


class _Instruction:
    """One instruction: where it ends, where it may jump to, whether execution goes on behind it (`is_final`: no)."""

    __slots__ = ("end", "is_final", "is_telling", "is_valid", "target", "writes")

    def __init__(self, data: bytes, at: int) -> None:
        code = data[at : at + 20] + bytes(4)
        here = 0
        while here < 8 and code[here] in _PREFIXES:
            here += 1
        prefixes, opcode = code[:here], code[here]
        here += 1
        wide = 4 if _WIDE in prefixes else 2
        extended = code[here] if opcode == 0x0F else -1
        self.is_valid = opcode not in (0x63, 0x67, 0xF1) and code[:2] != b"\0\0"
        self.is_telling = opcode == 0xCD and code[here] in _SERVICES
        self.is_telling |= opcode in _MOVES and any(each in prefixes for each in _REPEATED)
        if extended >= 0:
            here += 1
            is_jump = 0x80 <= extended < 0x90
            self.is_valid = is_jump or extended in _EXTENDED_PLACE or extended in _EXTENDED_BARE
            here += 2 * is_jump + (extended in _EXTENDED_BYTE)
        place = code[here] if opcode in _WITH_PLACE or extended in _EXTENDED_PLACE else -1
        self.writes = opcode in _WRITES and 0 <= place < 0xC0
        if place >= 0:
            self._check(opcode, place)
            here += 1 + (2 if place >> 6 == 2 or place & 0xC7 == 6 else place >> 6 == 1)
            self.is_telling |= opcode == 0xFF and place >> 3 == 0o34  # jmp through a register
        is_test = opcode in (0xF6, 0xF7) and place >> 3 & 7 <= 1
        here += opcode in _BYTE or (is_test and opcode == 0xF6)
        here += wide * (opcode in _WORD or (is_test and opcode == 0xF7))
        here += 2 * (opcode in _TWO) + 3 * (opcode == _THREE) + 4 * (opcode in _FOUR)
        self.end = at + here
        self.is_final = opcode in _ENDS or opcode in (0xE9, 0xEB) or (opcode == 0xFF and place >> 3 & 7 in (4, 5))
        self.target: int | None = None
        if opcode in _CONDITIONAL or opcode == 0xEB:
            self.target = self.end + int.from_bytes(code[here - 1 : here], "little", signed=True)
        elif opcode in (0xE8, 0xE9) or 0x80 <= extended < 0x90:
            self.target = self.end + int.from_bytes(code[here - 2 : here], "little", signed=True)

    def _check(self, opcode: int, place: int) -> None:
        kind = place >> 3 & 7
        is_register = place >= 0xC0
        self.is_valid &= not (opcode in _ONLY_MEMORY and is_register)
        self.is_valid &= not (opcode in _ONLY_FIRST and kind)
        self.is_valid &= not ((opcode == 0xFE and kind > 1) or (opcode == 0xFF and kind == 7))
