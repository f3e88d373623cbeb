"""docs/policies.md and the JSON Schema, made from the schema's field texts, so that they can't fall behind."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Any

from pydantic.fields import FieldInfo
from pydantic.json_schema import models_json_schema

from mailgate.policy.evaluate import PRECEDENCE
from mailgate.policy.schema import (
    Addresses,
    AttachmentException,
    AttachmentRule,
    Authentication,
    DmarcReports,
    GatewayLimits,
    GatewayPolicy,
    GatewayPostmaster,
    InboundRoute,
    Limits,
    Mailboxes,
    MtaSts,
    Passwords,
    Postmaster,
    Quarantine,
    Retention,
    RouteRule,
    ScannerException,
    Scanning,
    Section,
    SenderException,
    Sending,
    SendingCertificate,
    Signing,
    Submission,
    TenantPolicy,
    Transport,
    UnscannedActions,
)
from mailgate.policy.values import format_size

_SECTIONS: tuple[tuple[str, type[Section]], ...] = (
    ("[limits]", Limits),
    ("[limits], only in gateway.toml", GatewayLimits),
    ("[postmaster]", Postmaster),
    ("[postmaster], only in gateway.toml", GatewayPostmaster),
    ("[scanning]", Scanning),
    ("[unscanned]", UnscannedActions),
    ("[authentication]", Authentication),
    ("[[exceptions]]", SenderException),
    ("[[attachments]]", AttachmentRule),
    ("[[attachment_exceptions]]", AttachmentException),
    ("[[scanner_exceptions]]", ScannerException),
    ("[transport]", Transport),
    ("[[routes]]", RouteRule),
    ("[[inbound]]", InboundRoute),
    ("[sending]", Sending),
    ("[[sending.certificates]]", SendingCertificate),
    ("[mta_sts]", MtaSts),
    ("[signing]", Signing),
    ("[dmarc_reports]", DmarcReports),
    ("[quarantine]", Quarantine),
    ("[passwords]", Passwords),
    ("[submission]", Submission),
    ("[mailboxes]", Mailboxes),
    ("[addresses]", Addresses),
    ("[retention]", Retention),
)

_INTRODUCTION = """\
# Policies

<!-- Made by `mailgate policy reference`. Change the texts in mailgate/policy/, not here. -->

Policies say what the gateway does with mail. They are TOML files in one folder:

- `gateway.toml` holds for all tenants (an empty file takes every default);
- `tenants/<tenant>.toml` holds what differs for one tenant.

| command | what it does |
|---|---|
| `mailgate policy check [DIR]` | finds every mistake, with file and line |
| `mailgate policy explain --tenant acme` | shows what holds for a tenant, and which file says so |
| `mailgate policy schema` | prints the JSON Schema, for editors |
| `mailgate reload` | makes a running gateway use the files; where one is wrong, the last good ones stay in force |

## Which value holds

1. A value in the tenant's file goes before one in gateway.toml, which goes before the default.
2. Limits and the transport minimum of gateway.toml bind: a tenant's value may only be stricter; a looser one is an
   error.
3. Rules and defects add up: the tenant's rules are tried before the gateway's; a defect that both name is the tenant's.

## What happens to a message

"""

_NOTES = """\

The decision names the rule, the part and the version of the policy; `mailgate trace ID` shows them. Worth knowing:

- **No rule lets malware or an unscanned part pass.** `accept` only ends the search for a rule, for that one
  attachment; so a tenant's `accept` rule makes an exception from a rule of the gateway.
- **Exceptions end.** `attachment_exceptions` and `scanner_exceptions` say who made them, why, and until when;
  afterwards they do nothing, and `mailgate policy check` tells. docs/inspection.md says what they can't do.
- **There is one reply for all recipients.** Where a rule rejects for some recipients only, the message is taken,
  delivered to the others, and quarantined for these.
- **Rules look at attachments**, members of archives included: at each part of the message but text without a file
  name, which people read as the message itself.
- File names are compared without folders, in small letters, and without dots and blanks at their end, which some
  systems ignore. Globs know `*`, `?` and `[abc]`.
- Sizes are numbers of bytes, or texts such as `"10 MiB"` (1,024 × 1,024) and `"10 MB"` (1,000 × 1,000).
"""

_EXAMPLES = """\
## Examples

Macros from outside wait for a person, but not those of one partner:

```toml
[[attachments]]
name = "our tax adviser sends spreadsheets with macros"
action = "accept"
class = "macro"
extension = ["xlsm", "xls"]
sender = "*@tax.example"

[[attachments]]
name = "macros from outside wait for a person"
action = "quarantine"
class = "macro"
direction = "inbound"
```

Nothing above 20 MiB to the fax gateway, and PDF only:

```toml
[[attachments]]
name = "the fax gateway takes small files only"
action = "reject"
recipient = "fax@acme.example"
larger_than = "20 MiB"
reply = "The fax gateway takes at most 20 MiB"

[[attachments]]
name = "the fax gateway takes PDF"
action = "accept"
recipient = "fax@acme.example"
type = "application/pdf"

[[attachments]]
name = "the fax gateway takes nothing else"
action = "reject"
recipient = "fax@acme.example"
filename = "*"
```

A tenant whose mail must never leave without encryption, and who does not want to keep encrypted archives:

```toml
[transport]
minimum = "encrypted"

[unscanned]
encrypted = "reject"
```

A tenant with a mail server of its own, which takes the mail for its domain and sends through the gateway:

```toml
[[inbound]]
domain = "acme.example"
server = "mail.acme.example:25"
minimum = "encrypted"

[sending]
networks = "192.0.2.25"

[[sending.certificates]]
name = "server in Hamburg"
sha256 = "5F:A6:0C:6E:9D:4A:31:1D:8B:9C:52:0E:77:43:A1:8F:2B:D4:90:66:3E:C8:15:7A:F0:24:B9:6D:11:83:5C:E2"
domain = "hamburg.acme.example"
```
"""


def markdown() -> str:
    """The whole of docs/policies.md."""
    return "\n".join([_INTRODUCTION + _precedence() + _NOTES, *_keys(), _EXAMPLES])


def json_schema() -> dict[str, Any]:
    """One JSON Schema: `$defs/GatewayPolicy` for gateway.toml, `$defs/TenantPolicy` for a tenant's file."""
    _, schema = models_json_schema(
        [(GatewayPolicy, "validation"), (TenantPolicy, "validation")], title="mailgate policies"
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "anyOf": [{"$ref": "#/$defs/GatewayPolicy"}, {"$ref": "#/$defs/TenantPolicy"}],
    }


def _precedence() -> str:
    final = [step.text for step in PRECEDENCE if step.is_final]
    weighed = [step.text for step in PRECEDENCE if not step.is_final]
    lines = ["In this order; the first step that finds something decides, and nothing after it counts:", ""]
    lines += [f"{number}. {text}" for number, text in enumerate(final, 1)]
    lines += [
        "",
        "Otherwise all of these look at the message, and the strictest of what they find is done (reject before",
    ]
    lines += [
        "quarantine before accept; among equals the first). Where they find nothing, the message is accepted:",
        "",
    ]
    lines += [f"{number}. {text}" for number, text in enumerate(weighed, len(final) + 1)]
    return "\n".join(lines) + "\n"


def _keys() -> Iterator[str]:
    yield "## All keys\n"
    yield "### At the top of the file\n"
    yield _table([("language", TenantPolicy.model_fields["language"])])
    for title, section in _SECTIONS:
        known = set(Limits.model_fields) if section is GatewayLimits else set()
        fields = [(name, field) for name, field in section.model_fields.items() if name not in known]
        yield f"### {title}\n\n{' '.join((section.__doc__ or '').split())}\n"
        yield _table(fields)
    yield f"### [defects]\n\n{TenantPolicy.model_fields['defects'].description}\n"


def _table(fields: list[tuple[str, FieldInfo]]) -> str:
    rows = ["| key | default | meaning |", "|---|---|---|"]
    for name, field in fields:
        key = field.alias or name
        rows.append(f"| `{key}` | {_default(key, field)} | {field.description} |")
    return "\n".join(rows) + "\n"


def _default(key: str, field: FieldInfo) -> str:
    if field.is_required():
        return "must be given"
    if field.default_factory is not None or field.default in ((), None, ""):
        return ""
    if isinstance(field.default, bool):
        return f"`{str(field.default).lower()}`"
    if isinstance(field.default, enum.Enum):
        return f"`{field.default.value}`"
    return f"`{format_size(field.default)}`" if key.endswith("_size") else f"`{field.default}`"
