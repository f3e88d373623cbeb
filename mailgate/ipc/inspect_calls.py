"""What is asked of an inspector, and its answers."""

from __future__ import annotations

from msgspec import Struct

from mailgate.model.received_report import ReportReading
from mailgate.model.verdict import Inspection


class InspectLimits(Struct, frozen=True):
    """`depth`: nesting; `parts`: leaves; `cpu_seconds`, `wall_seconds`: whole message; `part_bytes`: one part."""

    depth: int = 50
    parts: int = 1000
    cpu_seconds: float = 20.0
    wall_seconds: float = 55.0
    part_bytes: int = 256 << 20


class Inspect(Struct, tag=True, frozen=True):
    """To an inspector: the message, inline or (`inline` None) as one descriptor sent with the frame's first byte."""

    size: int
    inline: bytes | None
    limits: InspectLimits
    inbound: bool = True


class ReadReports(Struct, tag=True, frozen=True):
    """To an inspector: which aggregate reports does this message hold? Message as in Inspect; answered by
    ReportsRead."""

    size: int
    inline: bytes | None
    limits: InspectLimits


class ReportsRead(Struct, tag=True, frozen=True):
    reading: ReportReading


class Inspected(Struct, tag=True, frozen=True):
    inspection: Inspection


class InspectFailed(Struct, tag=True, frozen=True):
    """The inspector survived but could not inspect (parser failure); `text` is for the log."""

    text: str


InspectorRequest = Inspect | ReadReports
InspectAnswer = Inspected | InspectFailed
ReportsAnswer = ReportsRead | InspectFailed
