"""Pure: what a zip file is, by the names of its members in its directory. Bytes of stored members tell nothing: a text
may speak of a manifest, and an archive of sources holds the manifests of what is to be built, in folders."""

from __future__ import annotations

import re
import zlib

from mailgate.inspect import zip_layout
from mailgate.inspect.signatures import ARCHIVE, DOCUMENT, EXECUTABLE, MACRO

ZIP = "application/zip"
_OFFICE = {
    b"word/": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    b"xl/": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    b"ppt/": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    b"visio/": "application/vnd.ms-visio.drawing",
}
_APK = "application/vnd.android.package-archive"
_ANDROID, _JAVA = b"AndroidManifest.xml", b"META-INF/MANIFEST.MF"
_APPX = (b"AppxManifest.xml", b"AppxMetadata/AppxBundleManifest.xml")
_CODE_OF_JAVA, _CODE_OF_ANDROID = re.compile(rb".*\.class", re.I | re.S), re.compile(rb"classes[0-9]*\.dex")
_MAIN_CLASS = re.compile(rb"^(?:Main|Launcher-Agent|Premain|Agent)-Class[ \t]*:", re.I | re.M)
_XML = re.compile(rb"(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)?[\s\0]*<")
_MACROS = re.compile(rb"(?:.*/)?(?:vbaProject\.bin|macrosheets/.*)", re.I | re.S)
_BEGINNING = 64 << 10  # bytes of a manifest that are looked at, packed and unpacked


def zip_type(data: bytes) -> tuple[str, tuple[str, ...]]:
    """The type and classes of what begins like a zip file."""
    members = zip_layout.directory(data)
    program = _program(data, members)
    if program:
        return program, (EXECUTABLE, ARCHIVE)
    if b"[Content_Types].xml" in members:
        kind = next((mime for folder, mime in _OFFICE.items() if any(name.startswith(folder) for name in members)), "")
        return kind or "application/vnd.ms-opc", (DOCUMENT, MACRO) if any(map(_MACROS.match, members)) else (DOCUMENT,)
    declared = re.match(rb"application/[a-z0-9.+-]+", data[38:138]) if data[30:38] == b"mimetype" else None
    if declared is None:
        return ZIP, (ARCHIVE,)
    if b"opendocument" not in declared[0]:
        return declared[0].decode(), (DOCUMENT, ARCHIVE)
    has_macro = any(name.startswith(b"Basic/") for name in members)
    return declared[0].decode(), (DOCUMENT, MACRO) if has_macro else (DOCUMENT,)


def _program(data: bytes, members: dict[bytes, int]) -> str:
    """An Android package has code or a manifest in Android's binary form; a Java archive classes, or a manifest that
    says where to start."""
    if any(name in members for name in _APPX):
        return "application/msix"
    manifest = members.get(_ANDROID)
    if manifest is not None:
        has_code = any(map(_CODE_OF_ANDROID.fullmatch, members))
        if has_code or not _XML.match(_beginning(data, manifest)):
            return _APK
    manifest = next((at for name, at in members.items() if name.upper() == _JAVA), None)
    if manifest is not None:
        is_code = any(map(_CODE_OF_JAVA.fullmatch, members))
        if is_code or _MAIN_CLASS.search(_beginning(data, manifest)):
            return "application/java-archive"
    return ""


def _beginning(data: bytes, at: int) -> bytes:
    """Of the member whose local header is at `at`; nothing where it can't be read."""
    local = zip_layout.content_at(data, at)
    if local is None:
        return b""
    method, begin = local
    packed = data[begin : begin + _BEGINNING]
    if method == 0:
        return packed
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, _BEGINNING)
    except zlib.error:
        return b""
