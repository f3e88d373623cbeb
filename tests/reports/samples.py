"""Aggregate reports as others write them, and messages that bring them."""

from __future__ import annotations

import base64
import gzip
import io
import zipfile

BEGIN, END = 1_799_971_200, 1_800_057_599

OLD = f"""<?xml version="1.0" encoding="UTF-8" ?>
<feedback>
  <report_metadata>
    <org_name>Large Provider</org_name>
    <email>noreply-dmarc@provider.example</email>
    <extra_contact_info>https://provider.example/dmarc</extra_contact_info>
    <report_id>1234567890</report_id>
    <date_range><begin>{BEGIN}</begin><end>{END}</end></date_range>
  </report_metadata>
  <policy_published>
    <domain>acme.example</domain><adkim>r</adkim><aspf>r</aspf><p>reject</p><sp>reject</sp><pct>100</pct>
  </policy_published>
  <record>
    <row>
      <source_ip>192.0.2.1</source_ip>
      <count>12</count>
      <policy_evaluated><disposition>none</disposition><dkim>pass</dkim><spf>fail</spf></policy_evaluated>
    </row>
    <identifiers><header_from>acme.example</header_from></identifiers>
    <auth_results>
      <dkim><domain>acme.example</domain><result>pass</result><selector>s</selector></dkim>
      <spf><domain>list.example</domain><result>pass</result></spf>
    </auth_results>
  </record>
  <record>
    <row>
      <source_ip>2001:db8::66</source_ip>
      <count>3</count>
      <policy_evaluated>
        <disposition>reject</disposition><dkim>fail</dkim><spf>fail</spf>
        <reason><type>local_policy</type><comment>x</comment></reason>
      </policy_evaluated>
    </row>
    <identifiers><header_from>acme.example</header_from></identifiers>
    <auth_results><spf><domain>evil.example</domain><result>none</result></spf></auth_results>
  </record>
</feedback>
""".encode()
"""By RFC 7489, as most write it."""

NEW = (
    OLD.replace(b"<feedback>", b'<feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0">\n<version>1.0</version>')
    .replace(b"<disposition>none", b"<disposition>pass")
    .replace(b"<pct>100</pct>", b"<np>reject</np><testing>n</testing><discovery_method>treewalk</discovery_method>")
)
"""By RFC 9990."""


def zipped(xml: bytes, name: str = "report.xml", beside: tuple[str, bytes] | None = None) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        if beside is not None:
            archive.writestr(*beside)
        archive.writestr(name, xml)
    return made.getvalue()


def mailed(
    attached: bytes, media_type: str = "application/gzip", sender: str = "dmarc@provider.example", name: str = "1"
) -> bytes:
    """A message with one attachment and nothing else."""
    header = (
        f"From: {sender}\r\nTo: dmarc@acme.example\r\nSubject: Report Domain: acme.example\r\n"
        f"Message-ID: <{name}@provider.example>\r\nMIME-Version: 1.0\r\nContent-Type: {media_type}\r\n"
        "Content-Disposition: attachment; filename=report.xml.gz\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    )
    return header.encode() + base64.encodebytes(attached).replace(b"\n", b"\r\n")


def compressed(xml: bytes) -> bytes:
    return gzip.compress(xml, mtime=0)
