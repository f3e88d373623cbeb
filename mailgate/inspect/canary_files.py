"""Pure: the files that canaries are made of, each with the EICAR test file inside and nowhere in the open.

ClamAV's own signature of EICAR knows the whole file only (its hash), not these 68 bytes inside another one: so wherever
one of these is found, the scanner has unpacked it."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zlib
from collections.abc import Callable, Sequence

from clamd import EICAR as _EICAR_LINE

EICAR: bytes = _EICAR_LINE.strip()
_GZIP = gzip.compress(EICAR, mtime=0)
_MEBI = 1 << 20


def zip_of(*members: tuple[int, int, Sequence[bytes]], flags: int = 0) -> tuple[bytes, ...]:
    """Pieces of a zip file (APPNOTE.TXT 4.3) of members (method, size, pieces as packed). Checksums are 0: no scanner
    asks for them."""
    pieces: list[bytes] = []
    directory: list[bytes] = []
    place = 0
    for number, (method, size, packed) in enumerate(members):
        name = b"%d" % number
        length = sum(map(len, packed))
        fields = struct.pack("<HHHHHIIIHH", 20, flags, method, 0, 33, 0, length, size, len(name), 0)
        directory.append(b"PK\1\2" + struct.pack("<H", 20) + fields + struct.pack("<HHHII", 0, 0, 0, 0, place) + name)
        pieces += [b"PK\3\4" + fields + name, *packed]
        place += 30 + len(name) + length
    entries = b"".join(directory)
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, len(members), len(members), len(entries), place, 0)
    return (*pieces, entries + end)


def zipped(*contents: bytes) -> bytes:
    return b"".join(zip_of(*((8, len(content), (_deflated(content),)) for content in contents)))


def nested(levels: int) -> bytes:
    """EICAR compressed so many times over."""
    content = EICAR
    for _ in range(levels):
        content = gzip.compress(content, mtime=0)
    return content


def many(members: int) -> bytes:
    """EICAR behind so many other files, each with a content of its own."""
    return zipped(*(b"%d" % number for number in range(members)), EICAR)


def large(member: int, total: int) -> tuple[bytes, ...]:
    """Pieces of a zip file whose members, the largest of `member` bytes, have `total` bytes in all (not below
    `member`). The last one ends in a zip file with EICAR, which a scanner that cuts it off does not see."""
    tail = zipped(EICAR)
    fillers = [min(member, rest) for rest in range(total - member, 0, -member)]
    packed = [(8, size, _zeros(b"%16d" % number, size, b"")) for number, size in enumerate(fillers)]
    return zip_of(*packed, (8, member, _zeros(b"", member, tail)))


def _zeros(head: bytes, size: int, tail: bytes) -> tuple[bytes, ...]:
    """Deflated: `head`, zeros up to `size` bytes, of which the last are `tail`."""
    whole, rest = divmod(max(0, size - len(head) - len(tail)), _MEBI)
    block = _deflated(bytes(_MEBI), zlib.Z_FULL_FLUSH)
    first, last = _deflated(head, zlib.Z_FULL_FLUSH), _deflated(bytes(rest) + tail)
    return (first, block * whole, last)


def _deflated(content: bytes, end: int = zlib.Z_FINISH) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush(end)


def encrypted() -> bytes:
    """A zip file that says that its member is encrypted; more than that nobody can see without the password."""
    return b"".join(zip_of((0, 20, (b"\x91\x42" * 16,)), flags=1))


def macros() -> bytes:
    """The least workbook with a sheet of Excel 4.0 macros (MS-XLS 2.4.21, 2.4.28), in an OLE2 file."""
    sheet = struct.pack("<HHIBBBB", 0x85, 14, 0, 0, 1, 6, 0) + b"Macro1"
    return ole2("Workbook", _substream(5) + sheet + _record(10) + _substream(0x40) + _record(10))


def _record(kind: int, content: bytes = b"") -> bytes:
    return struct.pack("<HH", kind, len(content)) + content


def _substream(kind: int) -> bytes:
    return _record(0x809, struct.pack("<HHHHII", 0x600, kind, 0x0DBB, 0x07CC, 0, 6))


def ole2(name: str, content: bytes) -> bytes:
    """The smallest OLE2 file (MS-CFB) with one stream: the allocation table, the directory, and the stream, padded so
    that it needs no stream of small ones."""
    free, end, table_sector = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
    padded = content.ljust(4096, b"\0")
    padded += bytes(-len(padded) % 512)
    table = [table_sector, end, *range(3, 2 + len(padded) // 512), end]

    def entry(entry_name: str, kind: int, child: int, start: int, size: int) -> bytes:
        encoded = entry_name.encode("utf-16-le") + b"\0\0"
        fields = struct.pack("<HBBIII36xIQ", len(encoded), kind, 1, free, free, child, start, size)
        return encoded.ljust(64, b"\0") + fields

    directory = entry("Root Entry", 5, 1, end, 0) + entry(name, 2, free, 2, len(padded))
    header = struct.pack("<8s16xHHHHH6x", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 0x3E, 3, 0xFFFE, 9, 6)
    header += struct.pack("<IIIIIIIII", 0, 1, 1, 0, 4096, end, 0, end, 0) + struct.pack("<109I", 0, *[free] * 108)
    sectors = struct.pack(f"<{len(table)}I", *table).ljust(512, b"\xff")
    return header + sectors + directory.ljust(512, b"\0") + padded


def _mail() -> bytes:
    head = b"Received: from localhost\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream; name=a\r\n"
    return head + b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(EICAR)


def _html() -> bytes:
    return b'<html><body><a href="data:application/octet-stream;base64,' + base64.b64encode(EICAR) + b'">a</a></html>'


def _pdf() -> bytes:
    stream = zlib.compress(EICAR)
    start = b"%%PDF-1.4\n1 0 obj\n<</Type/Catalog>>\nendobj\n2 0 obj\n<</Length %d/Filter/FlateDecode>>\n" % len(stream)
    return start + b"stream\n" + stream + b"\nendstream\nendobj\ntrailer\n<</Root 1 0 R>>\n%%EOF\n"


def _imploded() -> bytes:
    """APPNOTE.TXT 5.3 with literals alone: 64 lengths and 64 distances of six bits each, then EICAR."""
    bits = [bit for byte in EICAR for bit in (1, *(byte >> place & 1 for place in range(8)))]
    bits += [0] * (-len(bits) % 8)
    packed = bytes(sum(bits[at + place] << place for place in range(8)) for at in range(0, len(bits), 8))
    return b"".join(zip_of((6, len(EICAR), (bytes.fromhex("03f5f5f5f5") * 2, packed))))


def _tar() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        member = tarfile.TarInfo("a.gz")
        member.size = len(_GZIP)
        archive.addfile(member, io.BytesIO(_GZIP))
    return file.getvalue()


def _cpio() -> bytes:
    def entry(name: bytes, content: bytes) -> bytes:
        fields = (1, 0o100644, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + name + b"\0"
        head += bytes(-len(head) % 4)
        return head + content + bytes(-len(content) % 4)

    return entry(b"a.gz", _GZIP) + entry(b"TRAILER!!!", b"")


def _cabinet() -> bytes:
    """MS-CAB 2 with MSZIP."""
    packed = b"CK" + _deflated(EICAR)
    file = struct.pack("<IIHHHH", len(EICAR), 0, 0, 0, 0, 32) + b"a\0"
    data_at = 36 + 8 + len(file)
    data = struct.pack("<IHH", 0, len(packed), len(EICAR)) + packed
    head = struct.pack("<4sIIIIIBBHHHHH", b"MSCF", 0, data_at + len(data), 0, 44, 0, 3, 1, 1, 1, 0, 0, 0)
    return head + struct.pack("<IHH", data_at, 1, 1) + file + data


def _lha() -> bytes:
    """A header of level 0, and a stored member."""
    checksum = 0
    for byte in _GZIP:
        checksum ^= byte
        for _ in range(8):
            checksum = checksum >> 1 ^ (0xA001 if checksum & 1 else 0)
    sizes = struct.pack("<IIIBB", len(_GZIP), len(_GZIP), 0, 0x20, 0)
    head = b"-lh0-" + sizes + b"\4a.gz" + struct.pack("<H", checksum)
    return bytes((len(head), sum(head) & 255)) + head + _GZIP + b"\0"


def _xar() -> bytes:
    packed = zlib.compress(EICAR)
    data = (
        f"<length>{len(packed)}</length><offset>0</offset><size>{len(EICAR)}</size>"
        '<encoding style="application/x-gzip"/>'
    )
    contents = (
        '<?xml version="1.0" encoding="UTF-8"?><xar><toc><file id="1"><name>a</name><type>file</type>'
        f"<data>{data}</data></file></toc></xar>"
    ).encode()
    table = zlib.compress(contents)
    return struct.pack(">4sHHQQI", b"xar!", 28, 1, len(table), len(contents), 0) + table + packed


def _rar4() -> bytes:
    """One stored member."""

    def block(kind: int, flags: int, fields: bytes) -> bytes:
        head = struct.pack("<BHH", kind, flags, 7 + len(fields)) + fields
        return struct.pack("<H", zlib.crc32(head) & 0xFFFF) + head

    fields = struct.pack("<IIBIIBBHI", len(_GZIP), len(_GZIP), 2, zlib.crc32(_GZIP), 0, 20, 0x30, 4, 32) + b"a.gz"
    return b"Rar!\x1a\x07\0" + block(0x73, 0, bytes(6)) + block(0x74, 0x8000, fields) + _GZIP


def _rar5() -> bytes:
    """One stored member."""

    def block(fields: bytes) -> bytes:
        head = bytes((len(fields),)) + fields
        return struct.pack("<I", zlib.crc32(head)) + head

    size = bytes((len(_GZIP),))  # one octet: below 128
    member = bytes((2, 2)) + size + b"\4" + size + b"\x20" + struct.pack("<I", zlib.crc32(_GZIP)) + b"\0\0\4a.gz"
    return b"Rar!\x1a\x07\x01\0" + block(b"\1\0\0") + block(member) + _GZIP + block(b"\5\0\0")


def _kept(text: str, sector: int = 1) -> bytes:
    content = zlib.decompress(base64.b85decode(text))
    return content + bytes(-len(content) % sector)


def _szdd() -> bytes:
    """What COMPRESS.EXE writes, with literals alone."""
    literals = b"".join(b"\xff" + EICAR[at : at + 8] for at in range(0, len(EICAR), 8))
    return b"SZDD\x88\xf0\x27\x33A\0" + struct.pack("<I", len(EICAR)) + literals


# base85 of zlib: files made with 7-Zip 16.02, arj 3.10 and genisoimage 1.1.11.
_SEVEN_ZIP = (
    "c-k|s+Ou9=hJnSjRl+)k0Rn=cv_nyWBO^n&d^ZP}%f#Gm@HLz#ptOLe!>p6DqszebB1gw%lk&1_ChJ2Bzm}BoT;k;`{8C)VQ*^QP3-?E!&pceb"
    "*LVwg`7V}z{!$nk^6|pA3rq|)=L0ibKn60hurV-l#xSsRGcqtLDl#(gL@;o0F}m%(=+3~v$|%XhfCL1&8B!Va7}6Q4fE-B%5iUlCYl?r)F*V+0"
    "6lG&%P-s}v$iM&q8(A|9"
)
_ARJ = (
    "c-l*NrOBYg&B!Fcz+{+zkvAKJ88ASiUSd%e1B2#-vcn7v39k$p^uSse@<Ga7fC@m^=6qlV1H%$Qh!$kSQW+T78GbxrV2CjFR}4^fa14kxi3x~`"
    "Fg4K#h|@H8cGfhnRdMxnb_~)D4srBzaSU?Nb@U7I4D$>M4b}~D4Gz(D^Yn35RPoUE&`Nm4zyJVVW+@Z"
)
_ISO = (
    "c-rmT%}x_R902esCZ<Bmg%~;MMlW!%Z22f@^wP9TDfR>V5y2<$XjSm$8RcPk6hRZ-g8*KYQV3BZ-jv|)m))J+ng8r&H<L_evJ(OT0000000000"
    "00000000000000000000000000059GSK>II3iVpEw-)_gxzcVmt|&jh-_B3T70*4{275@S!{{(;bmF4;?%?n++#6oq3+X|U4oibNA&i{YkNBsm"
    "Nwd~z)f%O05}lkx#X=#TSzhWyOSO8^S?_d{MpSMmrEaSoO_iske6cteCAsxhuUV~>>dATL;^WykE<`K2)uhz!w3;(3xlVbxRzGQ#)zg?k@gQb#"
    "&=8;1x=}YNHU9eR&c?Hae10y@7w7YH3vnDSWyHU@9HG(v?{qp`8{g0Re*gdg;O0u5&aoT+0{{TP%^v@U!T)t800000;0C+A#_q$|{fX&E7i;YP"
    "7?GL^lf#I~wPCt;77>OKx077;<&(UR4FK1~gYDB!J&fGij*nktRyST}whABbY<-Fs_R?El=ihJc&+qj5$L}^XU$W!<qqqIco4t*rv4hNEW;DB>"
    "?PtgLHV%*az3##8x80HO^z-vql^;#C;Vb"
)

MANDATORY: dict[str, Callable[[], bytes]] = {
    "ScanMail": _mail,
    "ScanHTML": _html,
    "ScanPDF": _pdf,
    "ScanOLE2": lambda: ole2("Contents", _GZIP),
    "ScanArchive": lambda: zipped(EICAR),
}
"""Without these the scanner is blind to most of what comes by mail: by the option of clamd that switches them off."""

ARCHIVES: dict[str, tuple[Callable[[], bytes], ...]] = {
    "application/zip": (
        lambda: zipped(EICAR),
        lambda: b"".join(zip_of((9, len(EICAR), (_deflated(EICAR),)))),  # short enough to be the same for both
        lambda: b"".join(zip_of((12, len(EICAR), (bz2.compress(EICAR),)))),
        _imploded,
    ),
    "application/gzip": (lambda: _GZIP,),
    "application/x-bzip2": (lambda: bz2.compress(EICAR),),
    "application/x-xz": (lambda: lzma.compress(EICAR),),
    "application/x-tar": (_tar,),
    "application/x-cpio": (_cpio,),
    "application/vnd.ms-cab-compressed": (_cabinet,),
    "application/x-lzh-compressed": (_lha,),
    "application/x-xar": (_xar,),
    "application/vnd.rar": (_rar4, _rar5),
    "application/x-7z-compressed": (lambda: _kept(_SEVEN_ZIP),),
    "application/x-arj": (lambda: _kept(_ARJ),),
    "application/x-iso9660-image": (lambda: _kept(_ISO, 2048),),
    "application/x-szdd": (_szdd,),
    "application/x-msi": (MANDATORY["ScanOLE2"],),
}
"""By the type that `filetype` gives them: the scanner is known to open it once it finds EICAR in all files of it."""
