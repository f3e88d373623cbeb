"""Limits of messages, and of connections."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mailgate.policy.schema.section import Section
from mailgate.policy.values import Count, Seconds, Size


class Limits(Section):
    """Limits of one message. A tenant may only make them stricter."""

    message_size: Annotated[Size, Field(ge=65_536)] = Field(
        default=52_428_800,
        description="Largest message. At most the setting MAILGATE_MESSAGE_SIZE_LIMIT, which is also the default.",
    )
    recipients: Count = Field(
        default=1_000, description="Recipients of one message; more are answered 452, the rest goes on."
    )
    parts: Annotated[Count, Field(le=10_000)] = Field(
        default=1_000,
        description="Parts of one message, members of archives included; with more it is `unscanned.limit`.",
    )
    depth: Annotated[Count, Field(le=100)] = Field(
        default=50, description="How deep parts may be nested; a deeper message is `unscanned.limit`."
    )
    received_hops: Annotated[Count, Field(le=1_000)] = Field(
        default=50, description="Received fields of a message; with more it is taken for a mail loop and rejected."
    )


class GatewayLimits(Limits):
    """Limits of connections and headers. They act before the tenant's policy does, so only gateway.toml sets them."""

    header_size: Annotated[Size, Field(le=16 << 20)] = Field(default=262_144, description="Size of a message's header.")
    header_fields: Annotated[Count, Field(le=100_000)] = Field(
        default=1_000, description="Fields of a message's header."
    )
    connections: Count = Field(default=1_000, description="Connections at the same time, of all clients.")
    submission_reserve: Annotated[int, Field(strict=True, ge=0, le=90)] = Field(
        default=25,
        description="Percent of `connections` that MX leaves to submission. When MX has used up the rest, whoever "
        "keeps us waiting makes room for newcomers, those of the network with the most connections first.",
    )
    connections_per_address: Count = Field(
        default=50,
        description="Connections at the same time from one IPv4 address or one IPv6 /64 network. MX and submission are "
        "counted apart, here and in the next one.",
    )
    connections_per_network: Count = Field(
        default=200,
        description="The same for all addresses of an IPv4 /24 or an IPv6 /48 network; at least "
        "`connections_per_address`.",
    )
    connections_per_tenant: Count = Field(
        default=500, description="Connections at the same time on which users of one tenant have logged in."
    )
    messages_per_connection: Count = Field(
        default=1_000, description="Messages over one connection; then 421, come again."
    )
    commands: Count = Field(default=10_000, description="Commands over one connection.")
    unknown_recipients: Count = Field(
        default=20,
        description="By how many the recipients refused to one connection from outside may outnumber the good ones, "
        "before it is closed. From the fifth on replies are slower and slower.",
    )
    unknown_recipients_per_hour: Count = Field(
        default=200,
        description="The same for one address (IPv6: /64) over all connections, against recipients that mail was "
        "kept for; four times as many for its network. Above it recipients are answered 450 without being looked up.",
    )
    idle_seconds: Seconds = Field(
        default=300, description="Silence of the client after which the connection is closed."
    )
    session_seconds: Seconds = Field(default=7_200, description="Longest life of a connection.")
    data_rate: Annotated[int, Field(strict=True, ge=0, le=1_000_000)] = Field(
        default=100,
        description="Bytes a second that a client must reach while it sends a message, on average and in the last "
        "minute; 0 switches it off.",
    )
    auth_failures: Annotated[Count, Field(le=20)] = Field(
        default=5, description="Wrong passwords over one connection before it is closed."
    )
