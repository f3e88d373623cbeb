"""The answers of a resolver: read as the library reads them, and whatever is in them in linear time."""

from __future__ import annotations

import itertools
import struct

import dns.flags
import dns.message
import dns.name
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.model.dns import Mx, Tlsa
from mailgate.route import answer
from mailgate.route.answer import LONGEST_TEXT, MOST_ALIASES, FormatError
from mailgate.route.exchange import name_text
from tests.support.hostile import is_slow

_NAMES = st.lists(
    st.binary(min_size=1, max_size=12) | st.sampled_from([b"a", b"mx", b"Example", b"_x"]), min_size=1, max_size=6
).map(lambda labels: dns.name.Name((*labels, b"")))


@st.composite
def _messages(draw: st.DrawFn) -> tuple[dns.message.Message, dns.name.Name, int]:
    owner = draw(_NAMES)
    kind = draw(st.sampled_from(["A", "AAAA", "MX", "TXT", "PTR", "TLSA"]))
    response = dns.message.make_response(dns.message.make_query(owner, kind))
    for target in draw(st.lists(_NAMES, max_size=3, unique_by=lambda name: name.to_text().lower())):
        if target == response.question[0].name:
            continue
        response.answer.append(dns.rrset.from_text(owner, draw(st.integers(0, 9999)), "IN", "CNAME", target.to_text()))
        owner = target
    texts = {
        "A": st.ip_addresses(v=4).map(str),
        "AAAA": st.ip_addresses(v=6).map(str),
        "MX": st.tuples(st.integers(0, 65535), _NAMES).map(lambda pair: f"{pair[0]} {pair[1]}"),
        "TXT": st.lists(st.text("ab ü", max_size=60), min_size=1, max_size=9).map(
            lambda parts: " ".join(f'"{part}"' for part in parts)
        ),
        "PTR": _NAMES.map(str),
        "TLSA": st.binary(min_size=32, max_size=32).map(lambda data: f"3 1 1 {data.hex()}"),
    }
    records = draw(st.lists(texts[kind], max_size=5, unique=True))
    if records:
        response.answer.append(dns.rrset.from_text_list(owner, draw(st.integers(0, 9999)), "IN", kind, records))
    elif draw(st.booleans()):
        soa = f"ns.example. host.example. 1 2 3 4 {draw(st.integers(0, 9999))}"
        response.authority.append(dns.rrset.from_text(owner, 300, "IN", "SOA", soa))
    return response, dns.name.from_text(response.question[0].name.to_text()), dns.rdatatype.from_text(kind)


_text = name_text


def _converted(kind: int, data: object) -> object:
    match kind:
        case answer.MX:
            return Mx(data.preference, _text(data.exchange))  # type: ignore[attr-defined]
        case answer.TXT:
            return b"".join(data.strings).decode("utf-8", "replace")  # type: ignore[attr-defined]
        case answer.PTR:
            return _text(data.target)  # type: ignore[attr-defined]
        case answer.TLSA:
            return Tlsa(data.usage, data.selector, data.mtype, bytes(data.cert))  # type: ignore[attr-defined]
    return str(data.address)  # type: ignore[attr-defined]


@given(_messages())
def test_an_answer_is_read_as_the_library_reads_it(made: tuple[dns.message.Message, dns.name.Name, int]) -> None:
    message, name, kind = made
    wire = message.to_wire()
    known = dns.message.from_wire(wire)
    assert isinstance(known, dns.message.QueryMessage)
    found = answer.read(wire)
    assert (found.number, found.is_response, found.question) == (message.id, True, (_text(name), kind))
    try:
        chain = known.resolve_chaining()
    except dns.message.ChainTooLong:
        return
    owner, records, ttl = found.follow(_text(name), kind)
    assert owner == _text(chain.canonical_name)
    assert set(records) == {_converted(kind, each) for each in chain.answer or ()}
    if records or message.authority:
        assert ttl == chain.minimum_ttl


@given(st.binary(max_size=300))
def test_whatever_comes_is_read_or_refused(data: bytes) -> None:
    for wire in (data, b"\0\1\x81\x80\0\1\0\2\0\1\0\0" + data):
        try:
            answer.read(wire).follow("a.example", answer.MX)
        except FormatError:
            continue


def _wire(count: int, body: bytes) -> bytes:
    question = b"\1x\7example\0" + struct.pack("!HH", answer.MX, 1)
    return struct.pack("!HHHHHH", 1, 0x8180, 1, count, 0, 0) + question + body


def _aliases(names: list[str]) -> bytes:
    response = dns.message.make_response(dns.message.make_query(names[0], "A"))
    response.answer += [dns.rrset.from_text(a, 60, "IN", "CNAME", b) for a, b in itertools.pairwise(names)]
    response.answer.append(dns.rrset.from_text(names[-1], 60, "IN", "A", "192.0.2.1"))
    return response.to_wire()


def test_a_chain_of_aliases_has_an_end() -> None:
    names = [f"n{number}.example." for number in range(MOST_ALIASES + 1)]
    assert answer.read(_aliases(names[:-1])).follow("n0.example", answer.A)[1] == ("192.0.2.1",)
    with pytest.raises(FormatError):
        answer.read(_aliases([*names, "end.example."])).follow("n0.example", answer.A)
    with pytest.raises(FormatError):
        answer.read(_aliases(["n0.example.", "n1.example.", "n0.example."])).follow("n0.example", answer.AAAA)


def test_a_long_text_is_cut_and_shows_it() -> None:
    query = dns.message.make_query("a.example", "TXT")
    response = dns.message.make_response(query)
    text = " ".join(['"' + "x" * 255 + '"'] * 200)
    response.answer.append(dns.rrset.from_text("a.example.", 60, "IN", "TXT", text))
    _, records, _ = answer.read(response.to_wire()).follow("a.example", answer.TXT)
    assert [len(str(record)) for record in records] == [LONGEST_TEXT + 1]


_LONG = b"".join(b"\1" + bytes([97 + number % 26]) for number in range(120)) + b"\0"
_AT = struct.pack("!H", 0xC000 | 12 + 13 + 0)


def _hostile() -> dict[str, bytes]:
    """By 64 KB: records whose names are long by pointers, as much as fits into one answer."""
    record = struct.Struct("!HHIH")
    first = _LONG + record.pack(answer.MX, 1, 60, 4) + b"\0\1\xc0\x0c"
    at = struct.pack("!H", 0xC000 | len(_wire(0, b"")))
    mx = at + record.pack(answer.MX, 1, 60, 4) + b"\0\1" + at
    alias = at + record.pack(answer.CNAME, 1, 60, 2) + at
    text = b"\xc0\x0c" + record.pack(answer.TXT, 1, 60, 1) + b"\0"
    plain = _LONG + record.pack(answer.MX, 1, 60, 2 + len(_LONG)) + b"\0\1" + _LONG
    shapes = {"mx": mx, "alias": alias, "text": text, "long names": plain}
    made = {name: _wire((60_000 // len(one)) + 1, first + one * (60_000 // len(one))) for name, one in shapes.items()}
    steps = b"".join(struct.pack("!H", 0xC000 | max(12, 40 + 2 * number)) for number in range(8000))
    return {**made, "pointers": _wire(2, b"\0" + record.pack(answer.TXT, 1, 60, 16_000) + steps + b"\xff\x00")}


@pytest.mark.parametrize("name", _hostile())
def test_an_answer_is_read_in_linear_time(name: str) -> None:
    wire = _hostile()[name]

    def run() -> None:
        found = answer.read(wire)
        for kind in (answer.MX, answer.TXT, answer.A):
            for owner in ("x.example", _LONG.replace(b"\1", b".").strip(b".\0").decode()):
                try:
                    found.follow(owner, kind)
                except FormatError:
                    continue

    assert not is_slow(lambda size: run, most=0.1)
