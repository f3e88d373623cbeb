"""The signature table of `filetype`: which bytes and which file extensions mean which type and classes."""

from __future__ import annotations

import re

from mailgate.model.part_class import PartClass

EXECUTABLE, SCRIPT, MACRO = PartClass.EXECUTABLE, PartClass.SCRIPT, PartClass.MACRO
ARCHIVE, DISK_IMAGE, SHORTCUT = PartClass.ARCHIVE, PartClass.DISK_IMAGE, PartClass.SHORTCUT
# Rules name the classes above; these only describe a part in the ledger.
DOCUMENT, IMAGE, AUDIO, VIDEO, TEXT, HTML = "document", "image", "audio", "video", "text", "html"
MESSAGE, CERTIFICATE, FONT, DATA = "message", "certificate", "font", "data"

Signature = tuple[int, bytes, str, tuple[str, ...]]  # offset, bytes, type, classes

SIGNATURES: tuple[Signature, ...] = (
    (0, b"\x7fELF", "application/x-executable", (EXECUTABLE,)),
    (0, b"\xfe\xed\xfa\xce", "application/x-mach-binary", (EXECUTABLE,)),
    (0, b"\xfe\xed\xfa\xcf", "application/x-mach-binary", (EXECUTABLE,)),
    (0, b"\xce\xfa\xed\xfe", "application/x-mach-binary", (EXECUTABLE,)),
    (0, b"\xcf\xfa\xed\xfe", "application/x-mach-binary", (EXECUTABLE,)),
    (0, b"dex\n0", "application/vnd.android.dex", (EXECUTABLE,)),
    (0, b"\0asm", "application/wasm", (EXECUTABLE,)),
    (0, b"\x1bLua", "application/x-lua-bytecode", (EXECUTABLE,)),
    (0, b"!<arch>\ndebian", "application/vnd.debian.binary-package", (EXECUTABLE, ARCHIVE)),
    (0, b"\xed\xab\xee\xdb", "application/x-rpm", (EXECUTABLE, ARCHIVE)),
    (0, b"!<arch>\n", "application/x-archive", (ARCHIVE,)),
    (0, b"xar!", "application/x-xar", (EXECUTABLE, ARCHIVE)),
    (0, b"Rar!\x1a\x07", "application/vnd.rar", (ARCHIVE,)),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed", (ARCHIVE,)),
    (0, b"\x1f\x8b", "application/gzip", (ARCHIVE,)),
    (0, b"\x1f\x9d", "application/x-compress", (ARCHIVE,)),
    (0, b"\x1f\xa0", "application/x-compress", (ARCHIVE,)),
    (0, b"BZh", "application/x-bzip2", (ARCHIVE,)),
    (0, b"\xfd7zXZ\0", "application/x-xz", (ARCHIVE,)),
    (0, b"LZIP", "application/x-lzip", (ARCHIVE,)),
    (0, b"\x5d\0\0", "application/x-lzma", (ARCHIVE,)),
    (0, b"\x28\xb5\x2f\xfd", "application/zstd", (ARCHIVE,)),
    (0, b"\x04\x22\x4d\x18", "application/x-lz4", (ARCHIVE,)),
    (0, b"MSCF\0\0\0\0", "application/vnd.ms-cab-compressed", (ARCHIVE,)),
    (0, b"ISc(", "application/x-installshield", (ARCHIVE,)),
    (0, b"MSWIM\0\0\0", "application/x-ms-wim", (DISK_IMAGE, ARCHIVE)),
    (0, b"\x60\xea", "application/x-arj", (ARCHIVE,)),
    (7, b"**ACE**", "application/x-ace-compressed", (ARCHIVE,)),
    (2, b"-lh", "application/x-lzh-compressed", (ARCHIVE,)),
    (2, b"-lz", "application/x-lzh-compressed", (ARCHIVE,)),
    (0, b"ZOO ", "application/x-zoo", (ARCHIVE,)),
    (0, b"SIT!", "application/x-stuffit", (ARCHIVE,)),
    (0, b"StuffIt (c)", "application/x-stuffit", (ARCHIVE,)),
    (0, b"EGGA", "application/x-egg", (ARCHIVE,)),
    (0, b"ALZ\x01", "application/x-alz-compressed", (ARCHIVE,)),
    *((0, bytes((first,)) + b"\x2a\x4d\x18", "application/zstd", (ARCHIVE,)) for first in range(0x50, 0x60)),
    (0, b"\x02\x21\x4c\x18", "application/x-lz4", (ARCHIVE,)),
    (0, b"!<thin>\n", "application/x-thin-archive", (ARCHIVE,)),
    (20, b"\xdc\xa7\xc4\xfd", "application/x-zoo", (ARCHIVE,)),
    (0, b"StuffIt!", "application/x-stuffit", (ARCHIVE,)),
    (0, b"7kSt\xa0\x31\x83\xd3\x8c\xb2\x28\xb0\xd3zPQ", "application/x-zpaq", (ARCHIVE,)),
    (0, b"zPQ\x01", "application/x-zpaq", (ARCHIVE,)),
    (0, b"zPQ\x02", "application/x-zpaq", (ARCHIVE,)),
    (0, b"ArC\x01", "application/x-freearc", (ARCHIVE,)),
    (0, b"LRZI", "application/x-lrzip", (ARCHIVE,)),
    (0, b"\x89LZO\0\r\n\x1a\n", "application/x-lzop", (ARCHIVE,)),
    (0, b"\xff\6\0\0sNaPpY", "application/x-snappy-framed", (ARCHIVE,)),
    (0, b"SZDD\x88\xf0\x27\x33", "application/x-szdd", (ARCHIVE,)),
    (0, b"KWAJ\x88\xf0\x27\xd1", "application/x-kwaj", (ARCHIVE,)),
    (7, b"-sqx-", "application/x-sqx", (ARCHIVE,)),
    (0, b"UHA\x06", "application/x-uharc", (ARCHIVE,)),
    (2, b"-pm", "application/x-lzh-compressed", (ARCHIVE,)),
    (0, b"RE~^", "application/vnd.rar", (ARCHIVE,)),
    (0, b"sqsh", "application/vnd.squashfs", (DISK_IMAGE, ARCHIVE)),
    (0, b"hsqs", "application/vnd.squashfs", (DISK_IMAGE, ARCHIVE)),
    (257, b"ustar", "application/x-tar", (ARCHIVE,)),
    (0, b"070701", "application/x-cpio", (ARCHIVE,)),
    (0, b"070702", "application/x-cpio", (ARCHIVE,)),
    (0, b"070707", "application/x-cpio", (ARCHIVE,)),
    (0, b"\xc7\x71", "application/x-cpio", (ARCHIVE,)),
    (0, b"\x71\xc7", "application/x-cpio", (ARCHIVE,)),
    (0x8001, b"CD001", "application/x-iso9660-image", (DISK_IMAGE, ARCHIVE)),
    (0x8801, b"CD001", "application/x-iso9660-image", (DISK_IMAGE, ARCHIVE)),
    (0x8001, b"BEA01", "application/x-udf-image", (DISK_IMAGE, ARCHIVE)),
    (0x8001, b"NSR0", "application/x-udf-image", (DISK_IMAGE, ARCHIVE)),
    (0, b"vhdxfile", "application/x-vhdx", (DISK_IMAGE, ARCHIVE)),
    (0, b"conectix", "application/x-vhd", (DISK_IMAGE, ARCHIVE)),
    (0, b"KDMV", "application/x-vmdk", (DISK_IMAGE, ARCHIVE)),
    (0, b"QFI\xfb", "application/x-qemu-disk", (DISK_IMAGE, ARCHIVE)),
    (64, b"\x7f\x10\xda\xbe", "application/x-virtualbox-vdi", (DISK_IMAGE, ARCHIVE)),
    (0, b"COWD", "application/x-vmdk", (DISK_IMAGE, ARCHIVE)),
    (0, b"# Disk DescriptorFile", "application/x-vmdk", (DISK_IMAGE, ARCHIVE)),
    (0, b"WithoutFreeSpace", "application/x-parallels-disk", (DISK_IMAGE, ARCHIVE)),
    (0, b"WithouFreSpacExt", "application/x-parallels-disk", (DISK_IMAGE, ARCHIVE)),
    (0, b"LUKS\xba\xbe", "application/x-luks", (DISK_IMAGE, ARCHIVE)),
    (0, b"XFSB", "application/x-xfs-image", (DISK_IMAGE, ARCHIVE)),
    (32, b"NXSB", "application/x-apfs-image", (DISK_IMAGE, ARCHIVE)),
    (0, b"\x45\x3d\xcd\x28", "application/x-cramfs", (DISK_IMAGE, ARCHIVE)),
    (0, b"\x28\xcd\x3d\x45", "application/x-cramfs", (DISK_IMAGE, ARCHIVE)),
    (0, b"-rom1fs-", "application/x-romfs", (DISK_IMAGE, ARCHIVE)),
    (0, b"DAA\0", "application/x-daa-image", (DISK_IMAGE, ARCHIVE)),
    (0, b"CISO", "application/x-ciso-image", (DISK_IMAGE, ARCHIVE)),
    (0, b"MEDIA DESCRIPTOR", "application/x-mds-image", (DISK_IMAGE, ARCHIVE)),
    (0, b"EVF\x09\x0d\x0a\xff\0", "application/x-ewf-image", (DISK_IMAGE, ARCHIVE)),
    (0, b"\0" + b"\xff" * 10 + b"\0", "application/x-raw-disk-image", (DISK_IMAGE, ARCHIVE)),  # sectors of a CD
    (0, b"L\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0\x46", "application/x-ms-shortcut", (SHORTCUT,)),
    (0, b"ITSF", "application/vnd.ms-htmlhelp", (EXECUTABLE, DOCUMENT)),
    (0, b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d", "application/msonenote", (DOCUMENT,)),
    (0, b"%!PS", "application/postscript", (DOCUMENT, SCRIPT)),
    (0, b"\xc5\xd0\xd3\xc6", "application/postscript", (DOCUMENT, SCRIPT)),
    (0, b"{\\rt", "application/rtf", (DOCUMENT,)),
    (0, b"\x78\x9f\x3e\x22", "application/ms-tnef", (MESSAGE, ARCHIVE)),
    (0, b"AT&TFORM", "image/vnd.djvu", (DOCUMENT,)),
    (0, b"\xdb\xa5-\0", "application/msword", (DOCUMENT,)),
    (0, b"\x89PNG\r\n\x1a\n", "image/png", (IMAGE,)),
    (0, b"\xff\xd8\xff", "image/jpeg", (IMAGE,)),
    (0, b"GIF87a", "image/gif", (IMAGE,)),
    (0, b"GIF89a", "image/gif", (IMAGE,)),
    (0, b"II*\0", "image/tiff", (IMAGE,)),
    (0, b"MM\0*", "image/tiff", (IMAGE,)),
    (0, b"8BPS", "image/vnd.adobe.photoshop", (IMAGE,)),
    (0, b"\xd7\xcd\xc6\x9a", "image/wmf", (IMAGE,)),
    (40, b" EMF", "image/emf", (IMAGE,)),
    (0, b"\0\0\x01\0", "image/vnd.microsoft.icon", (IMAGE,)),
    (0, b"\xff\x0a", "image/jxl", (IMAGE,)),
    (0, b"ID3", "audio/mpeg", (AUDIO,)),
    (0, b"\xff\xfb", "audio/mpeg", (AUDIO,)),
    (0, b"\xff\xf3", "audio/mpeg", (AUDIO,)),
    (0, b"fLaC", "audio/flac", (AUDIO,)),
    (0, b"OggS", "audio/ogg", (AUDIO,)),
    (0, b"MThd", "audio/midi", (AUDIO,)),
    (0, b"#!AMR", "audio/amr", (AUDIO,)),
    (0, b"\x1a\x45\xdf\xa3", "video/x-matroska", (VIDEO,)),
    (0, b"\0\0\x01\xba", "video/mpeg", (VIDEO,)),
    (0, b"\0\0\x01\xb3", "video/mpeg", (VIDEO,)),
    (0, b"FLV\x01", "video/x-flv", (VIDEO,)),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "video/x-ms-asf", (VIDEO,)),
    (0, b"FWS", "application/x-shockwave-flash", (EXECUTABLE, VIDEO)),
    (0, b"CWS", "application/x-shockwave-flash", (EXECUTABLE, VIDEO)),
    (0, b"ZWS", "application/x-shockwave-flash", (EXECUTABLE, VIDEO)),
    (0, b"wOFF", "font/woff", (FONT,)),
    (0, b"wOF2", "font/woff2", (FONT,)),
    (0, b"OTTO", "font/otf", (FONT,)),
    (0, b"\0\x01\0\0\0", "font/ttf", (FONT,)),
    (0, b"ttcf", "font/collection", (FONT,)),
    (0, b"SQLite format 3\0", "application/vnd.sqlite3", (DATA,)),
    (0, b"\x00\x01\x00\x00Standard ACE DB", "application/msaccess", (DOCUMENT, MACRO)),
    (0, b"\x00\x01\x00\x00Standard Jet DB", "application/msaccess", (DOCUMENT, MACRO)),
    (0, b"!BDN", "application/vnd.ms-outlook-pst", (MESSAGE, ARCHIVE)),
)

# What begins so is a program, whatever else stands in it.
PROGRAM_MAGICS = tuple(magic for at, magic, _, classes in SIGNATURES if at == 0 and EXECUTABLE in classes)
# Formats that are text: a word at the beginning suffices.
WRITTEN = frozenset({"application/postscript", "application/rtf"})

# What else must be there where a signature is short, or a word.
CONFIRMED = {
    "application/vnd.android.dex": re.compile(rb"dex\n[0-9]{3}\0"),
    "application/x-lua-bytecode": re.compile(rb"\x1bLua[\x10-\x7f]"),
    "application/x-shockwave-flash": re.compile(rb"[FCZ]WS[\x01-\x40].{3}[\0-\x08]", re.S),
    "application/vnd.ms-htmlhelp": re.compile(rb"ITSF[\x01-\x08]\0\0\0"),
    "application/x-xar": re.compile(rb"xar!\0"),
    "application/x-cpio": re.compile(
        rb"07070[12][0-9A-Fa-f]{104}|070707[0-7]{70}|\xc7\x71.{18}[\x02-\xff][\0-\x03]|\x71\xc7.{18}[\0-\x03]", re.S
    ),
    "application/x-bzip2": re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)"),
    "application/gzip": re.compile(rb"\x1f\x8b\x08"),
    "application/x-compress": re.compile(rb"\x1f[\x9d\xa0][\x09-\x10\x89-\x90]"),
    "application/x-lzma": re.compile(rb"\x5d\0\0.{2}(?:\xff{8}|.{5}\0{3})", re.S),
    "application/x-arj": re.compile(rb"\x60\xea.[\0-\x0a][\x1e-\x40]", re.S),
    "application/x-lzh-compressed": re.compile(rb"..-(?:lh[0-9dsx]|lz[0-9s]|pm[0-9s])-", re.S),
    "application/x-stuffit": re.compile(rb"SIT!.{6}rLau|StuffIt", re.S),
}

SCRIPT_EXTENSIONS = {
    **dict.fromkeys(("js", "jse", "mjs"), "text/javascript"),
    **dict.fromkeys(("vbs", "vbe", "vb"), "text/vbscript"),
    **dict.fromkeys(
        ("ps1", "psm1", "psd1", "ps1xml", "psc1", "psc2", "msh", "msh1", "msh2"), "application/x-powershell"
    ),
    **dict.fromkeys(("bat", "cmd", "nt"), "application/x-bat"),
    **dict.fromkeys(("hta",), "application/hta"),
    **dict.fromkeys(("wsf", "wsh", "wsc", "sct"), "application/x-windows-script"),
    **dict.fromkeys(("sh", "bash", "zsh", "ksh", "csh", "command"), "application/x-sh"),
    **dict.fromkeys(("py", "pyw", "pyz", "pyzw"), "text/x-python"),
    **dict.fromkeys(("pl", "rb", "php", "phtml", "tcl", "lua", "ahk", "au3", "applescript", "scpt"), "text/x-script"),
    **dict.fromkeys(("reg",), "text/x-ms-regedit"),
    **dict.fromkeys(
        ("inf", "ins", "isp", "scf", "msc", "gadget", "settingcontent-ms"), "application/x-ms-configuration"
    ),
    **dict.fromkeys(("iqy", "slk", "oqy", "rqy", "dqy"), "application/x-excel-query"),
    **dict.fromkeys(("job", "chm", "xbap", "application", "appref-ms", "appinstaller"), "application/x-ms-installer"),
}
SHORTCUT_EXTENSIONS = {
    "url": "application/x-mswinurl",
    "website": "application/x-mswinurl",
    "webloc": "application/x-webloc",
    "inetloc": "application/x-webloc",
    "desktop": "application/x-desktop",
    "library-ms": "application/windows-library+xml",
    "search-ms": "application/windows-search-connector+xml",
    "searchconnector-ms": "application/windows-search-connector+xml",
    "lnk": "application/x-ms-shortcut",
    "rdp": "application/x-rdp",
}
# Top-level domains: a card or page may be named by an address or a host.
DOMAINS = frozenset({"pl", "py", "sh"})
# What a double click starts by the name; `.com` is a domain as well, so there the content has to be code.
STARTED_EXTENSIONS = frozenset({"cpl", "exe", "scr", "pif", "msi", "msp", "msix", "appx"})
EXECUTABLE_EXTENSIONS = STARTED_EXTENSIONS | {"dll", "ocx", "sys"}
VOLUME_EXTENSION = re.compile(r"[0-9]{3}|[rsz][0-9]{2}")  # of archives in several files
DISK_IMAGE_EXTENSIONS = frozenset({"iso", "img", "vhd", "vhdx", "dmg", "udf", "vmdk"})
TEXT_EXTENSIONS = {
    "html": ("text/html", (HTML, TEXT)),
    "htm": ("text/html", (HTML, TEXT)),
    "xhtml": ("application/xhtml+xml", (HTML, TEXT)),
    "shtml": ("text/html", (HTML, TEXT)),
    "svg": ("image/svg+xml", (IMAGE, TEXT)),
    "eml": ("message/rfc822", (MESSAGE, TEXT)),
    "mht": ("multipart/related", (MESSAGE, HTML, TEXT)),
    "mhtml": ("multipart/related", (MESSAGE, HTML, TEXT)),
    "ics": ("text/calendar", (TEXT,)),
    "vcf": ("text/vcard", (TEXT,)),
    "csv": ("text/csv", (TEXT,)),
    "xml": ("application/xml", (TEXT,)),
    "json": ("application/json", (TEXT,)),
}
