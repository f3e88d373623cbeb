"""Aggregate reports of others: every format is read, and nothing that a stranger sends does harm."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.inspect import report_xml, reports
from mailgate.inspect.report_xml import ReportError, read_report
from mailgate.inspect.reports import read_reports
from mailgate.model.dmarc import Counted
from mailgate.model.received_report import ReceivedReport, ReportedMail
from mailgate.senderauth.aggregate_xml import AggregateReport, Reporter
from tests.reports.making import POLICY, seen
from tests.reports.samples import BEGIN, END, NEW, OLD, compressed, mailed, zipped

GOOD = ReportedMail("192.0.2.1", "none", dkim=True, spf=False, messages=12)
BAD = ReportedMail("2001:db8::66", "reject", dkim=False, spf=False, messages=3)
REPORT = ReceivedReport("Large Provider", "1234567890", "acme.example", BEGIN, END, (GOOD, BAD))
PASSED = replace(REPORT, mails=(replace(GOOD, disposition="pass"), BAD))


@pytest.mark.parametrize(
    ("xml", "expected"),
    [
        (OLD, REPORT),
        (NEW, PASSED),
        (b"\xef\xbb\xbf" + OLD, REPORT),
        (OLD.decode().replace("UTF-8", "UTF-16").encode("utf-16"), REPORT),
        (OLD.replace(b"<feedback>", b'<f:feedback xmlns:f="http://dmarc.org/dmarc-xml/0.1">').replace(
            b"</feedback>", b"</f:feedback>"), REPORT),
        (OLD.replace(b"acme.example</domain><adkim>", b" ACME.Example\n</domain><adkim>"), REPORT),
    ],
)  # fmt: skip
def test_every_format(xml: bytes, expected: ReceivedReport) -> None:
    assert read_report(xml) == expected


NAMED = replace(REPORT, reporter="Müller & Söhne <x>")
XS = b'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="http://dmarc.org/dmarc-xml/0.1">'


@pytest.mark.parametrize(
    ("xml", "expected"),
    [
        (b"\r\n \t" + OLD, REPORT),
        (b"\0\xef\xbb\xbf\r\n" + OLD, REPORT),
        (OLD + b"\0\0", REPORT),
        (OLD + b"\x1a-- \r\nsent by a script", REPORT),
        (OLD.replace(b"Large Provider", "Müller & Söhne <x>".encode().replace(b"<x>", b"&lt;x&gt;")), NAMED),
        (OLD.replace(b"Large Provider", b"M\xfcller & S\xf6hne &lt;x>"), NAMED),
        (OLD.replace(b"UTF-8", b"us-ascii").replace(b"Large Provider", b"M\xfcller & S\xf6hne &lt;x>"), NAMED),
        (OLD.replace(b"UTF-8", b"x-unknown"), REPORT),
        (OLD.replace(b"Large Provider", b"A < B &co; C&D"), replace(REPORT, reporter="A < B &co; C&D")),
        (OLD.replace(b"noreply-dmarc@provider.example", b"<noreply-dmarc@provider.example>"), REPORT),
        (OLD.replace(b"Large Provider", b"Large\x0b Provider&#0;&#x1f;"), REPORT),
        (OLD.replace(b"<feedback>", b"<feedback>" + XS), REPORT),
        (OLD.replace(b"<feedback>", XS + b"<feedback>") + b"</xs:schema>", REPORT),
        (OLD.replace(b"<feedback>", b'<d:feedback xsi:schemaLocation="http://x/ y.xsd">').replace(
            b"</feedback>", b"</d:feedback>"), REPORT),
        (OLD.replace(b"<begin>%d" % BEGIN, b"<begin>%d.25" % BEGIN), REPORT),
        (OLD.replace(b"%d" % BEGIN, b"2027-01-15T00:00:00Z").replace(b"%d" % END, b"2027-01-15 23:59:59"), REPORT),
        (OLD.replace(b"<feedback>", b"<feedback><a>&b;<c>"), REPORT),
        (OLD.replace(b"<feedback>", b'<!DOCTYPE feedback SYSTEM "dmarc.dtd"><feedback>'), REPORT),
        (OLD.replace(b"feedback>", b"Feedback>").replace(b"record>", b"RECORD>"), REPORT),
        (OLD.replace(b"<feedback>", b"<root><feedback>") + b"</root>", REPORT),
        (OLD + OLD, REPORT),
        (OLD + b"<br><p>Confidential & private</p>", REPORT),
        (OLD.replace(b"<feedback>", b"<feedback><!-- a -- b <record> -->"), REPORT),
        (OLD.replace(b"</identifiers>", b"</identifier>", 1), REPORT),
        (OLD.replace(b"</identifiers>", b"", 1).replace(b"</result></spf>", b"</spf>", 1), REPORT),
        (OLD.replace(b"</policy_evaluated>", b"<reason><comment>by <relay.example> & <b>x]]></comment></reason>"
                     b"</policy_evaluated>"), REPORT),
        (OLD.replace(b"</feedback>", b""), REPORT),
        (OLD.decode().encode("utf-16-le"), REPORT),
        (OLD.replace(b"acme.example</domain><adkim>", b"acme.example.</domain><adkim>"), REPORT),
        (OLD.replace(b"UTF-8", b"Shift_JIS").replace(b"Large Provider", "\u682a\u5f0f".encode("shift_jis")),
         replace(REPORT, reporter="\u682a\u5f0f")),
        *((OLD.replace(b"%d" % BEGIN, begin).replace(b"%d" % END, end), REPORT) for begin, end in (
            (b"%d000" % BEGIN, b"%d999" % END),
            (b"Fri, 15 Jan 2027 00:00:00 +0000", b"Fri, 15 Jan 2027 23:59:59 GMT"),
            (b"2027/01/15 00:00:00", b"2027-01-15 23:59:59 UTC"),
            (b"%d" % BEGIN, b""),
        )),
        *((OLD.replace(b"192.0.2.1", source), REPORT) for source in (
            b"[192.0.2.1]", b"192.0.2.1/32", b"192.000.002.001", b"[IPv6:::ffff:192.0.2.1]")),
        (OLD.replace(b"2001:db8::66", b"2001:db8::66%\xc2\x9b31m"), REPORT),
        (OLD.replace(b"192.0.2.1", b"::ffff:192.0.2.1").replace(b"<count>12", b"<count>12.0"), REPORT),
    ],
)  # fmt: skip
def test_small_faults_of_reporters(xml: bytes, expected: ReceivedReport) -> None:
    assert read_report(xml) == expected
    assert read_reports(mailed(compressed(xml))).reports == (expected,)


@pytest.mark.parametrize("behind", [b"\0" * 7, b"\r\n", b"garbage", b"\x1f\x8b garbage"])
def test_bytes_behind_a_gzip_file(behind: bytes) -> None:
    if behind.startswith(b"\x1f"):
        assert read_reports(mailed(compressed(OLD) + behind)).problem
    else:
        assert read_reports(mailed(compressed(OLD) + behind)).reports == (REPORT,)


@pytest.mark.parametrize(
    "packed",
    [
        b"\r\n" + gzip.compress(OLD),
        gzip.compress(gzip.compress(OLD)),
        gzip.compress(zipped(OLD)),
        zipped(gzip.compress(OLD)),
        zipped(OLD, beside=("__MACOSX/._report.xml", b"\0\5\x16\7")),
    ],
)
def test_archives_as_reporters_make_them(packed: bytes) -> None:
    assert read_reports(mailed(packed)).reports == (REPORT,)


def test_a_gzip_file_without_its_end() -> None:
    assert read_reports(mailed(compressed(OLD)[:-8])).reports == (REPORT,)


def test_a_report_under_another_name_in_the_zip() -> None:
    assert read_reports(mailed(zipped(OLD, "report.txt"))).reports == (REPORT,)


def test_mail_that_fared_alike_is_summed_up() -> None:
    record = OLD[OLD.index(b"<record>") : OLD.index(b"</record>") + 9]
    found = read_report(OLD.replace(b"</feedback>", record * 3 + b"</feedback>"))
    assert found.mails == (replace(GOOD, messages=48), BAD)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"192.0.2.1", b"mail.example"),
        (b"<count>12", b"<count>-12"),
        (b"<count>12", b"<count>0"),
        (b"<count>12", b"<count>" + b"9" * 5_000),
        (b"<count>12</count>", b""),
        (b"<disposition>none", b"<disposition>maybe"),
        (b"<policy_evaluated>", b"<other>"),
    ],
)
def test_a_record_that_makes_no_sense_is_passed_over(old: bytes, new: bytes) -> None:
    xml = OLD.replace(old, new, 1)
    if new == b"<other>":
        xml = xml.replace(b"</policy_evaluated>", b"</other>", 1)
    found = read_report(xml)
    assert (found.mails, found.skipped) == ((BAD,), 1)


BOMB = b"""<?xml version="1.0"?><!DOCTYPE feedback [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><feedback>&c;</feedback>"""
OUTSIDE = b'<!DOCTYPE feedback [<!ENTITY x SYSTEM "file:///etc/passwd">]><feedback>&x;</feedback>'


@pytest.mark.parametrize(
    "xml",
    [
        b"",
        b"hello",
        b"<html/>",
        b"<feedback/>",
        BOMB,
        OUTSIDE,
        OLD[:700],
        OLD.replace(b"<org_name>", b"<a").replace(b"policy_published", b"policy"),
        OLD[: OLD.index(b"<record>")],
        OLD[: OLD.rindex(b"</row>")],
        OLD.replace(b"<domain>acme.example", b"<domain>not a domain"),
        OLD.replace(f"<end>{END}".encode(), f"<end>{BEGIN - 1}".encode()),
        OLD.replace(f"<begin>{BEGIN}".encode(), b"<begin>0"),
        OLD.replace(f"<begin>{BEGIN}".encode(), b"<begin>yesterday"),
        OLD.replace(b"<feedback>", b"<feedback>" + b"<a>" * 10_000),
    ],
)
def test_what_is_no_report(xml: bytes) -> None:
    with pytest.raises(ReportError):
        read_report(xml)


def test_the_number_of_records_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_xml, "MOST_KINDS", 1)
    found = read_report(OLD)
    assert (found.mails, found.skipped) == ((GOOD,), 1)
    monkeypatch.setattr(report_xml, "MOST_RECORDS", 1)
    with pytest.raises(ReportError, match="more than 1 records"):
        read_report(OLD)


_names = st.sampled_from(
    ["feedback", "record", "row", "count", "source_ip", "report_metadata", "policy_published", "x"]
)
_xml = st.recursive(
    st.text(max_size=10).map(lambda text: text.replace("<", "").replace("&", "&amp;")),
    lambda inner: st.builds(lambda name, parts: f"<{name}>{''.join(parts)}</{name}>", _names, st.lists(inner)),
)


@given(st.one_of(st.binary(), _xml.map(lambda text: f"<feedback>{text}</feedback>".encode("utf-8", "replace"))))
def test_anything_is_a_report_or_an_error(xml: bytes) -> None:
    try:
        read_report(xml)
    except ReportError as error:
        assert len(str(error)) <= 200


@given(st.data())
def test_a_report_with_any_byte_changed(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(OLD) - 1))
    changed = OLD[:at] + data.draw(st.binary(max_size=3)) + OLD[at + 1 :]
    try:
        found = read_report(changed)
    except ReportError:
        return
    assert len(found.mails) + found.skipped <= 2


@given(
    st.lists(
        st.tuples(
            st.ip_addresses().filter(lambda ip: not getattr(ip, "ipv4_mapped", None)).map(str),
            st.sampled_from(["none", "pass", "quarantine", "reject"]), st.booleans(),
            st.booleans(), st.integers(1, 10**6),
        ),
        unique_by=lambda each: each[:4],
    )
)  # fmt: skip
def test_what_we_write_we_read(rows: list[tuple[str, str, bool, bool, int]]) -> None:
    counted = [
        Counted(seen(source=source, disposition=done, dkim=dkim, spf=spf), messages)
        for source, done, dkim, spf, messages in rows
    ]
    made = AggregateReport(Reporter("a.example", "p@a.example", "us"), "1@a.example", BEGIN, END, POLICY, counted)
    found = read_report(made.xml())
    assert sorted((m.source, m.disposition, m.dkim, m.spf, m.messages) for m in found.mails) == sorted(rows)
    assert (found.domain, found.report_id, found.begin, found.end) == (POLICY.domain, "1@a.example", BEGIN, END)


@pytest.mark.parametrize(
    ("attached", "media_type"),
    [
        (compressed(OLD), "application/gzip"),
        (compressed(OLD), "application/octet-stream"),
        (zipped(OLD), "application/zip"),
        (OLD, "text/xml"),
    ],
)
def test_reports_in_messages(attached: bytes, media_type: str) -> None:
    found = read_reports(mailed(attached, media_type))
    assert (found.reports, found.problem) == ((REPORT,), "")


def gzip_bomb() -> bytes:
    """More than a report may have, in 70 KB."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(70)) + packer.flush()


@pytest.mark.parametrize(
    ("attached", "problem"),
    [
        (b"hello", "holds no report"),
        (compressed(b"hello"), "can't be read"),
        (compressed(OLD)[:300], "can't be read"),
        (b"\x1f\x8b" + b"\xff" * 50, "can't be unpacked"),
        (zipped(OLD)[:100], "can't be unpacked"),
        (zipped(b"hello", "report.txt"), "can't be read"),
        (zipped(b"", "folder/"), "no XML in the zip"),
        (gzip_bomb(), "more than 64 MiB"),
        (compressed(BOMB), "can't be read"),
    ],
)
def test_what_can_not_be_read_is_said(attached: bytes, problem: str) -> None:
    found = read_reports(mailed(attached))
    assert found.reports == () and problem in found.problem


def test_what_takes_too_much_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "MEMORY_BYTES", 8 << 20)
    element = b"<a/>" * 1_000
    greedy = OLD.replace(b"<record>", b"<record>" + element * 10_000, 1)  # more than a child may have left of ours
    found = read_reports(mailed(gzip.compress(greedy, 1)))
    assert found.reports == () and "too much" in found.problem
