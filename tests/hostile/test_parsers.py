"""Every function that reads text of strangers takes at most 50 ms of processor time for 64 KB of each hostile shape.

Functions with one text to read are found in the source; those that want more stand in `WITH_MORE`. Whoever writes a new
one that is neither gets a failing test here."""

from __future__ import annotations

import importlib
import inspect
import ipaddress
import pkgutil
import re
import types
import typing
from collections.abc import Callable, Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mailgate import dsn, edge, model, policy, recoding, relay, route, senderauth, transport
from mailgate import inspect as inspection
from mailgate.dsn import lines
from mailgate.dsn import parameters as dsn_parameters
from mailgate.edge import header as edge_header
from mailgate.edge import parameters as edge_parameters
from mailgate.edge.data import with_crlf
from mailgate.inspect import (
    archive_marks,
    archives,
    arj,
    containers,
    documents,
    dos_code,
    embedded,
    encapsulated,
    encodings,
    filetype,
    headers,
    inner_files,
    iso9660,
    macros,
    meaning,
    multipart,
    tnef,
    unpacking,
    zip_layout,
)
from mailgate.inspect import parameters as inspect_parameters
from mailgate.inspect import pgp as inspect_pgp
from mailgate.inspect import scripts as inspect_scripts
from mailgate.inspect.members import Budget
from mailgate.inspect.mime import views
from mailgate.inspect.parts import ParseLimits
from mailgate.model import address, release_address
from mailgate.model.reply import reply_of
from mailgate.recoding import entity
from mailgate.relay import dkim_sign, forwarding, pipeline
from mailgate.senderauth import (
    arc,
    arc_set,
    author,
    body,
    dkim_key,
    dkim_signature,
    dkim_verify,
    dmarc_record,
    results,
    spf_macro,
    spf_record,
    tags,
)
from mailgate.senderauth import header as auth_header
from mailgate.senderauth.comments import after_comment
from mailgate.senderauth.signed_header import without_signature
from mailgate.senderauth.signing_key import SigningKey
from mailgate.senderauth.spf_macro import Values
from mailgate.tenancy.addresses import is_on_duty, is_same_address
from mailgate.tenancy.mailboxes import srs
from mailgate.transport import fields, mta_sts, tlsrpt
from tests.recoding.recoding import SEVEN_BIT, recode
from tests.support.hostile import MOST_SECONDS, is_slow, shapes

# What reads what comes from outside; the modules in them are found.
PACKAGES = (dsn, edge, inspection, model, policy, recoding, relay, route, senderauth, transport)
MODULES = ("mailgate.tenancy.addresses", "mailgate.tenancy.mailboxes.srs", "mailgate.cli.people_csv")
_TEXTS = ("str", "bytes", "Header", "Field")

# Functions whose text is not a stranger's, or that only hand it on. A name alone, or `module.name`.
NOT_STRANGERS = {
    "effective.tenant_file", "effective.effective_policy", "rules.compile_rule", "values.names_domain", "routing.way",
    "globs.glob_pattern", "exceptions.attachment_exemption", "exceptions.scanner_exemption", "clamd.client",
    "confinement.confine", "worker.main", "signing_key.decode", "published.records", "published.sts_policy",
    "published.txt_line", "dane.owner", "toml_lines.positions", "loader.load", "routing.inbound_way",
    "effective.given_keys", "report_mail.compose_report", "tls_report_mail.attached", "containers.container_reports",
    "aggregate_reports.names", "names.shown", "members.trouble", "handover.reachable", "schema.parse",
    "read_encoding", "report_xml.read_report",  # tests/reports: XML has limits of its own
    "dkim_verify.verify", "arc.verify", "spf.check_mail_from", "sender.start", "defect.is_structural",
    "dmarc.evaluate", "address_map.build", "places.found_at", "meaning.lacks_mime_version", "digest.check",
    "samples.scan_message", "inspection.inspect", "elsewhere.lies_elsewhere", "verdict.not_scanned",
    "addresses.refusal", "arc_seal.seal", "context.key_exchange", "mx.select", "replies.bad_certificate",
    "replies.not_yours", "sasl.credentials", "scanner_sockets.directly", "worker.inspect_once",
    "replies.unscanned", "trace_headers.prefix", "relay.process.surroundings", "classify.outcome_of",
    "canaries.judged", "canary_files.ole2", "obstacles.of_conversion",
}  # fmt: skip

_IP = ipaddress.ip_address("192.0.2.1")
_VALUES = Values("a" * 60, "a.example", "b.example", _IP, "h", receiver="r", now=1)
_SIGNATURE = {
    "v": "1", "a": "rsa-sha256", "d": "a.example", "s": "s", "h": "from", "b": "AA==",
    "bh": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
}  # fmt: skip


def _budget() -> Budget:
    return Budget()


_KEY = SigningKey(Ed25519PrivateKey.generate())


def _section(name: bytes, text: str) -> auth_header.Header:
    return auth_header.read(name + b": " + text.encode() + b"\r\n\r\n")


def _signature_with(tag: str) -> Callable[[str], object]:
    def read(text: str) -> object:
        tags = {**_SIGNATURE, tag: text + ("@a.example" if tag == "i" else "")}
        value = "; ".join(f"{name}={value}" for name, value in tags.items())
        return dkim_signature.parse(f"DKIM-Signature: {value}\r\n".encode())

    return read


def _arc(name: bytes) -> Callable[[str], object]:
    return lambda text: arc_set.sets(_section(name, f"i=1; {text}"))


def _reply(text: str) -> object:
    return pipeline._end_of_reply(bytearray(b"250-" + text.encode() + b"\r\n"), 0)


WITH_MORE: dict[str, Callable[[str], object]] = {
    **{f"dkim_signature.parse {tag}=": _signature_with(tag) for tag in (*_SIGNATURE, "i", "t", "x", "c", "q", "l")},
    "arc_set.sets AAR": _arc(b"ARC-Authentication-Results"),
    "arc_set.sets AMS": _arc(b"ARC-Message-Signature"),
    "arc_set.sets seal": _arc(b"ARC-Seal"),
    "arc.read": lambda text: arc.read(_section(b"ARC-Seal", f"i=1; {text}")),
    "dkim_verify.candidates": lambda text: dkim_verify.candidates(_section(b"DKIM-Signature", text)),
    "author.author_domains": lambda text: author.author_domains(_section(b"From", text + " <a@b.example>")),
    "author.authors": lambda text: author.authors(_section(b"From", text)),
    "author.authors after": lambda text: author.authors(_section(b"From", "<a@b.example> " + text)),
    "author.addresses_in": lambda text: author.addresses_in(_section(b"From", text).fields[0], "From"),
    "results.is_written_by": lambda text: results.is_written_by(text, "mx.example"),
    "results.is_written_by more": lambda text: results.is_written_by("mx.example; " + text, "mx.example"),
    "results.parse more": lambda text: results.parse("mx.example; a=b " + text),
    **{
        f"spf_record.parse {term}": lambda text, term=term: spf_record.parse(f"v=spf1 {term}{text[:3000]} {text}")
        for term in ("", "include:", "exists:", "redirect=", "exp=", "a:", "mx:", "ptr:", "ip4:", "ip6:", "x=")
    },
    "spf_record._ends_well": spf_record._ends_well,
    "spf_macro.expand": lambda text: spf_macro.expand(text, _VALUES),
    "spf_macro.expand macros": lambda text: spf_macro.expand("%{s}" + text, _VALUES, is_explanation=True),
    "spf_macro.expand_domain": lambda text: spf_macro.expand_domain(text, _VALUES),
    "dmarc_record.parse rua": lambda text: dmarc_record.parse("v=DMARC1; p=none; rua=mailto:" + text),
    "mta_sts.parse_policy mx": lambda text: mta_sts.parse_policy(
        f"version: STSv1\r\nmode: enforce\r\nmax_age: 1000\r\nmx: {text}\r\n"
    ),
    "mta_sts.parse_record id": lambda text: mta_sts.parse_record("v=STSv1; id=1; " + text),
    "mta_sts.id_of": lambda text: mta_sts.id_of([text]),
    "tlsrpt.uris_of": lambda text: tlsrpt.uris_of(["v=TLSRPTv1; rua=mailto:" + text]),
    "fields.fields_after": lambda text: fields.fields_after("STSv1", text),
    "fields.check_extension": lambda text: fields.check_extension(text, text),
    "edge_header.read": lambda text: edge_header.read(text.encode(), "mx.example", True),
    **{
        f"header.read {name}": lambda text, name=name: edge_header.read(
            f"{name}: {text}\r\n\r\n".encode(), "mx.example", True
        )
        for name in ("Authentication-Results", "Delivered-To", "Message-ID", "Received", "Date", "Bcc")
    },
    "header.is_within": lambda text: edge_header.is_within(text.encode(), 1 << 20, 100_000),
    "parameters.parse_mail": lambda text: edge_parameters.parse_mail(b"FROM:<a@b.example> " + text.encode(), True),
    "parameters.parse_mail path": lambda text: edge_parameters.parse_mail(b"FROM:<" + text.encode(), True),
    "parameters.parse_rcpt": lambda text: edge_parameters.parse_rcpt(b"TO:<a@b.example> " + text.encode(), True, True),
    "parameters.parse_rcpt path": lambda text: edge_parameters.parse_rcpt(b"TO:<" + text.encode(), True, True),
    "parameters.parse_orcpt": lambda text: dsn_parameters.parse_orcpt("rfc822;" + text, True),
    "address.take_path": lambda text: address.take_path("<" + text),
    "address.parse_address local": lambda text: address.parse_address(text + "@b.example"),
    "address.parse_address domain": lambda text: address.parse_address("a@" + text),
    "release_address.read_claim": lambda text: release_address.read_claim("release+" + text, b"k" * 32),
    "srs.original": lambda text: srs.original("SRS0=abcdef=ab=" + text, b"k" * 32, 1),
    "srs.rewritten": lambda text: srs.rewritten(text + "@a.example", "b.example", b"k" * 32, 1),
    "reply.reply_of": lambda text: reply_of(550, "5.1.1 " + text),
    "pipeline._end_of_reply": _reply,
    "pipeline._parse": lambda text: pipeline._parse(b"250 " + text.encode()),
    "dkim_sign.signed_names": lambda text: dkim_sign.signed_names(auth_header.read(text.encode())),
    **{
        f"plan.planning {name}": lambda text, head=head: recode(f"{head}{text}\u00fc".encode(), SEVEN_BIT)
        for name, head in {
            "header": "",
            "type": "MIME-Version: 1.0\r\nContent-Type: ",
            "multipart": "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n",
            "text": "MIME-Version: 1.0\r\n\r\n",
            "qp": "Content-Transfer-Encoding: quoted-printable\r\n\r\n",
            "base64": "Content-Transfer-Encoding: base64\r\n\r\n",
        }.items()
    },
    "entity.read": lambda text: entity.read(text.encode() + b"\r\n\r\n", 0),
    "body.body_hashes": lambda text: body.body_hashes(("simple", "relaxed"), text.encode()),
    "mime.views": lambda text: views(text.encode(), ParseLimits()),
    **{
        f"mime.views {name}": lambda text, head=head: views(head.encode() + text.encode(), ParseLimits())
        for name, head in {
            "type": "Content-Type: ",
            "boundary": "Content-Type: multipart/mixed; boundary=",
            "multipart": "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n",
            "name": "Content-Type: application/x; name=",
            "name*": "Content-Disposition: attachment; filename*0*=",
            "encoding": "Content-Transfer-Encoding: ",
            "base64": "Content-Transfer-Encoding: base64\r\n\r\n",
            "qp": "Content-Transfer-Encoding: quoted-printable\r\n\r\n",
            "uu": "Content-Transfer-Encoding: x-uuencode\r\n\r\nbegin 644 a\r\n",
            "html": "Content-Type: text/html\r\n\r\n",
            "rfc822": "Content-Type: message/rfc822\r\n\r\n",
        }.items()
    },
    "embedded.in_plain_charset": lambda text: embedded.in_plain_charset(text.encode("utf-16"), ("utf-16",)),
    "embedded.hidden": lambda text: list(embedded.hidden(text.encode())),
    "embedded.hidden data:": lambda text: list(embedded.hidden(b"data:;base64," + text.encode())),
    "encodings.decode base64": lambda text: encodings.decode("base64", text.encode()),
    "encodings.decode qp": lambda text: encodings.decode("quoted-printable", text.encode()),
    "encodings.decode uu": lambda text: encodings.decode("uuencode", b"begin 644 a\r\n" + text.encode()),
    "encodings.decode yenc": lambda text: encodings.decode("yenc", b"=ybegin line=1 name=a\r\n" + text.encode()),
    "encodings.decode binhex": lambda text: encodings.decode("binhex", b":" + text.encode()),
    "headers.read_header": lambda text: headers.read_header(text.encode(), 0, len(text.encode()), ParseLimits()),
    "headers.line_by_line": lambda text: headers.line_by_line(text.encode(), 0, len(text.encode()), ParseLimits()),
    "headers.line_by_line cr": lambda text: headers.line_by_line(
        text.encode(), 0, len(text.encode()), ParseLimits(), cr_ends_line=False
    ),
    "multipart.first_dashed_lines": lambda text: multipart.first_dashed_lines(b"--" + text.encode(), 0, len(text)),
    "multipart.guess_boundaries": lambda text: multipart.guess_boundaries(b"--" + text.encode(), 0, len(text)),
    "multipart.is_usual_preamble": lambda text: multipart.is_usual_preamble(text.encode(), 0, len(text)),
    "inner_files.written_files": lambda text: list(inner_files.written_files(text.encode(), _budget())),
    "inner_files.wrapped_files": lambda text: list(inner_files.wrapped_files(text.encode(), _budget())),
    "documents.document_members rtf": lambda text: list(
        documents.document_members(b"{\\rtf1\\objdata " + text.encode(), _budget())
    ),
    "documents.document_members pdf": lambda text: list(
        documents.document_members(b"%PDF-1.4\n" + text.encode(), _budget())
    ),
    "encapsulated.opened": lambda text: list(encapsulated.opened(text.encode(), _budget())),
    "encapsulated.opened pem": lambda text: list(
        encapsulated.opened(b"-----BEGIN PKCS7-----" + text.encode(), _budget())
    ),
    "pgp.armoured": lambda text: list(
        inspect_pgp.armoured(b"-----BEGIN PGP MESSAGE-----\r\n" + text.encode(), _budget())
    ),
    "scripts.rebuilt": lambda text: list(inspect_scripts.rebuilt(text.encode(), lambda each: iter((each,)))),
    "arj.arj_members": lambda text: arj.arj_members(b"\x60\xea" + text.encode(), _budget()),
    "archives.archive_members": lambda text: archives.archive_members(text.encode(), "zip", _budget(), frozenset()),
    "containers.listing": lambda text: containers.listing(b"PK\3\4" + text.encode(), _budget()),
    "zip_layout.hidden_members": lambda text: zip_layout.hidden_members(b"PK\3\4" + text.encode(), set(), _budget()),
    "zip_layout.fault": lambda text: zip_layout.fault(text.encode() + b"PK\5\6" + bytes(18)),
    "encapsulated.cms_content": lambda text: encapsulated.cms_content(b"\x30\x80" + text.encode(), _budget()),
    "encodings.regular_base64": lambda text: encodings.regular_base64(text.encode(), 0, len(text)),
    "filetype.detect": lambda text: filetype.detect(text.encode()),
    "filetype.detect name": lambda text: filetype.detect(b"MZ", text),
    "filetype.detect domain": lambda text: filetype.detect(text.encode(), "x@shop.com"),
    "parameters.text_in": lambda text: [
        inspect_parameters.text_in(text.encode(), each) for each in (b"iso-2022-jp", b"gbk", b"utf-7")
    ],
    "zip_layout.content_at": lambda text: zip_layout.content_at(b"PK\x03\x04" + text.encode(), 0),
    "filetype.detect zip": lambda text: filetype.detect(b"PK\x03\x04" + text.encode() + b"PK\x05\x06" + bytes(18)),
    "archive_marks.find": lambda text: archive_marks.find(text.encode(), b"PK\x03\x04", 0),
    "arj.is_main_header": lambda text: arj.is_main_header(b"\x60\xea" + text.encode(), 0),
    "iso9660.iso_members": lambda text: iso9660.iso_members(text.encode(), _budget()),
    "iso9660.iso_members volume": lambda text: iso9660.iso_members(
        bytes(0x8000) + b"\x01CD001\x01\0" + text.encode(), _budget()
    ),
    "macros.tells_of_macros": lambda text: macros.tells_of_macros("a.xls", text.encode()),
    "tnef.decompressed_rtf": lambda text: tnef.decompressed_rtf(
        b"\xff\xff\0\0\xff\xff\0\0LZFu\0\0\0\0" + text.encode(), _budget()
    ),
    "tnef.tnef_files": lambda text: list(tnef.tnef_files(b"\x78\x9f\x3e\x22\0\0" + text.encode(), _budget())),
    "unpacking.unpacked": lambda text: unpacking.unpacked(b"PK\x03\x04" + text.encode(), 0, _budget(), True),
    "addresses.is_on_duty": lambda text: is_on_duty(text, True),
    "dos_code.may_be_code": lambda text: dos_code.may_be_code(text.encode("latin-1", "replace")),
    "dos_code.may_be_printable": lambda text: dos_code.may_be_printable(text.encode()),
    "headers.leading_junk": lambda text: headers.leading_junk(text.encode(), 0, len(text)),
    "meaning.read_meaning": lambda text: meaning.read_meaning(
        headers.line_by_line(b"Content-Type: " + text.encode() + b"\r\n\r\n", 0, len(text) + 18, ParseLimits()),
        len(text) + 18,
        "text/plain",
    ),
    "multipart.divide": lambda text: multipart.divide(text.encode(), 0, len(text), b"a", 1000),
    "parameters.decode_word": lambda text: (
        inspect_parameters.decode_word(b"q", text.encode()),
        inspect_parameters.decode_word(b"b", text.encode()),
    ),
    "pgp.literals": lambda text: list(inspect_pgp.literals(b"\xcb\xff" + text.encode(), _budget())),
    "lines.field": lambda text: lines.field("Subject", lines.one_line(text, 1000)),
    "comments.after_comment": lambda text: after_comment("(" + text, 0),
    "addresses.is_same_address": lambda text: is_same_address(text, "a@b.example"),
    "dkim_key.is_same_key": lambda text: dkim_key.is_same_key("v=DKIM1; p=" + text, "v=DKIM1; p="),
    "dkim_signature.parse_tags": lambda text: dkim_signature.parse_tags(text.encode(), True),
    "tags.base64_text": lambda text: tags.base64_text(text, "b"),
    "signed_header.without_signature": lambda text: without_signature(_section(b"DKIM-Signature", text).fields[0]),
    "data.with_crlf": lambda text: with_crlf(text.encode(), False),
    "forwarding.our_results": lambda text: forwarding.our_results(
        _section(b"Authentication-Results", "mx.example; " + text), "mx.example"
    ),
    "forwarding.chain_state": lambda text: forwarding.chain_state(_section(b"ARC-Seal", "i=1; " + text), text),
    "dkim_sign.signatures": lambda text: dkim_sign.signatures(
        _section(b"Subject", text.replace("\n", "\n ")), b"x" * 32, [dkim_sign.Identity("a.example", "s", _KEY)], 1
    ),
}


def _modules() -> Iterator[types.ModuleType]:
    for package in PACKAGES:
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            yield importlib.import_module(found.name)
    yield from map(importlib.import_module, MODULES)


def _readers() -> dict[str, tuple[Callable[..., object], str, bool]]:
    """By `module.name`: the function, the kind of its first parameter, and whether that is all that it needs."""
    found = {}
    for module in _modules():
        for name, function in vars(module).items():
            if not inspect.isfunction(function) or function.__module__ != module.__name__ or name.startswith("_"):
                continue
            parameters = list(inspect.signature(function).parameters.values())
            kind = str(parameters[0].annotation) if parameters else ""
            if kind in _TEXTS:
                needs_no_more = kind in ("str", "bytes") and all(
                    each.default is not inspect.Parameter.empty for each in parameters[1:]
                )
                found[f"{module.__name__.removeprefix('mailgate.')}.{name}"] = (function, kind, needs_no_more)
    return found


_READERS = _readers()


def _short(name: str) -> str:
    return ".".join(name.split(".")[-2:])


_ALONE = {
    name: (function, kind)
    for name, (function, kind, alone) in _READERS.items()
    if alone and _short(name) not in NOT_STRANGERS
}


def _listed(value: object) -> object:
    return list(value) if isinstance(value, typing.Iterator) else value


# An inspector holds nobody up but the message's own sender, and has limits of its own (`confinement.timed`).
_INSPECTION_SECONDS = {"mime.views": 0.1, "inspect.parameters.value_readings": 0.1}  # all readings, one after the other


def _attacked(read: Callable[[str], object], most: float = MOST_SECONDS) -> list[str]:
    found = []
    for name, shape in shapes():

        def run_of(size: int, shape: Callable[[int], str] = shape) -> Callable[[], object]:
            text = shape(size)
            return lambda: _listed(read(text))

        if slow := is_slow(run_of, most):
            found.append(f"{name}: {slow}")
    return found


def test_a_slow_reader_is_noticed() -> None:
    shape = dict(shapes())["'a'*"]
    for read in (
        lambda text: [text.count("ab", at) for at in range(len(text))],
        re.compile("[a-z. ]*[ ]*!").search,
    ):

        def run_of(size: int, read: Callable[[str], object] = read) -> Callable[[], object]:
            text = shape(size)
            return lambda: read(text)

        assert is_slow(run_of)


@pytest.mark.parametrize("name", sorted(_ALONE))
def test_a_reader_of_one_text_is_quick(name: str) -> None:
    function, kind = _ALONE[name]
    most = _INSPECTION_SECONDS.get(name, MOST_SECONDS)
    assert not _attacked((lambda text: function(text.encode())) if kind == "bytes" else function, most)


@pytest.mark.parametrize("name", sorted(WITH_MORE))
def test_a_reader_that_wants_more_is_quick(name: str) -> None:
    most = _INSPECTION_SECONDS.get(name.partition(" ")[0], MOST_SECONDS)
    assert not _attacked(WITH_MORE[name], most)


def test_every_reader_is_attacked_or_said_to_be_none() -> None:
    attacked = {name.partition(" ")[0] for name in WITH_MORE} | NOT_STRANGERS
    missing = sorted(name for name in _READERS if name not in _ALONE and _short(name) not in attacked)
    assert missing == [], "new readers: add them to WITH_MORE, or to NOT_STRANGERS"
