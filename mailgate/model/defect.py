"""The names of everything that makes a message ambiguous or malformed, and what each means.

The classes follow draft-chen-email-mime-ambiguity-defense-00; the names are stable: policies refer to them.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Severity(enum.StrEnum):
    """What a defect says about the message.

    STRUCTURE: clients may see different parts; the union is scanned and the raw scan is complete.
    NAME: clients may see different file names; the content is the same for all.
    CONTENT: the message is well-formed, but not everything it shows to the user is in it.
    """

    STRUCTURE = "structure"
    NAME = "name"
    CONTENT = "content"


@dataclass(frozen=True, slots=True)
class DefectClass:
    severity: Severity
    meaning: str


_STRUCTURE = {
    "ambiguous-boundary": "the boundary can be read in several ways",
    "bare-cr": "a carriage return without line feed stands in a header or in front of a delimiter line",
    "bare-lf": "a line feed without carriage return ends a line of a message whose other lines end in CRLF",
    "base64-concatenated": "padding in the middle of base64 data: decoders stop there, go on, or start again",
    "base64-junk": "characters outside the base64 alphabet in base64 data",
    "base64-length": "base64 data whose length is not a multiple of four, or with too much padding",
    "boundary-in-epilogue": "delimiter lines after the closing delimiter: a further part for some clients",
    "boundary-missing": "a multipart type without a usable boundary parameter",
    "boundary-not-found": "the declared boundary never occurs in the body",
    "boundary-prefix": "a delimiter line that goes on after the boundary, which some clients accept",
    "bom": "a byte order mark in front of the first header field",
    "composite-encoding": "base64, quoted-printable or uuencode on a multipart or message type",
    "delimiter-indented": "blanks in front of a delimiter line",
    "duplicate-content-disposition": "several Content-Disposition fields that differ",
    "duplicate-content-transfer-encoding": "several Content-Transfer-Encoding fields that differ",
    "duplicate-content-type": "several Content-Type fields that differ",
    "embedded-message": "a part that is not of type message/rfc822 holds a message",
    "embedded-mime": "delimiter lines with part headers inside a part that is not a multipart",
    "from-line": "an mbox `From ` line in front of the header",
    "header-leading-blank": "a header field preceded by blanks, or the header by blank lines",
    "header-limit": "a header block larger than the limit",
    "header-nul": "a NUL in the header",
    "header-separator": "no blank line between header and body, or a separator line that is not empty",
    "header-space-before-colon": "blanks between the name of a header field and its colon",
    "missing-close-delimiter": "a multipart without closing delimiter",
    "missing-mime-version": "MIME fields in a message without a usable MIME-Version field",
    "preamble-content": "the preamble of a multipart holds what some clients take for a part or file",
    "quoted-printable-malformed": "quoted-printable data that decoders read differently",
    "text-encoded-file": "a uuencoded, yEnc or BinHex file inside text",
    "transfer-encoding-list": "several encodings in one Content-Transfer-Encoding field",
    "transfer-encoding-syntax": "a Content-Transfer-Encoding field with comments, quotes or trailing characters",
    "transfer-encoding-unknown": "a Content-Transfer-Encoding that does not exist",
    "type-syntax": "a Content-Type field that does not follow the grammar of RFC 2045",
}
_NAME = {
    "duplicate-file-name": "file names that differ, so that clients show different ones",
    "file-name-control": "control or direction-changing characters, or a NUL, in a file name",
    "file-name-encoded-word": "an encoded word in a parameter, where RFC 2047 allows none",
}
_CONTENT = {
    "charset-unusual": "text in a character set that hides ASCII text from a scanner (UTF-7, UTF-16, EBCDIC)",
    "data-uri": "HTML with a file inside a data: URI",
    "encoded-run": "a run of base64 or of character references inside text or a script",
    "external-body": "message/external-body: the content lies elsewhere",
    "external-body-alternative": "message/external-body as one of several alternatives: a link",
    "message-partial": "message/partial: a fragment of a message that only the client puts together",
    "message-partial-inside": "message/partial inside a multipart, where no client puts it together",
    "opaque-pgp": "OpenPGP signature or compression, but no encryption, around the content",
    "opaque-signed": "S/MIME opaque signature or compression around the content",
    "tnef": "Outlook's winmail.dat with texts or attachments inside",
    "wrapped-file": "an AppleSingle, AppleDouble, MacBinary or ActiveMime file with others inside",
}

DEFECTS: dict[str, DefectClass] = {
    name: DefectClass(severity, meaning)
    for severity, meanings in ((Severity.STRUCTURE, _STRUCTURE), (Severity.NAME, _NAME), (Severity.CONTENT, _CONTENT))
    for name, meaning in sorted(meanings.items())
}


def is_structural(name: str) -> bool:
    return DEFECTS[name].severity is Severity.STRUCTURE
