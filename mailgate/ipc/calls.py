"""What the processes ask of each other. Every call to the store is one `Request`, every answer one `Answer`."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from mailgate.ipc.report_calls import DmarcReportDue, GetDmarcReport, KeepReport
from mailgate.model.decision import Decision
from mailgate.model.dmarc import Seen
from mailgate.model.envelope import Envelope, MailboxId, TenantName
from mailgate.model.event import Event
from mailgate.model.outcome import Outcome
from mailgate.model.received_report import ReceivedReport, TlsReport
from mailgate.model.turned_away import TurnedAway
from mailgate.model.verdict import Inspection

Protocol = Literal["smtp", "imap", "command"]


class Hello(Struct, tag=True, frozen=True):
    """First call on a connection; answered by Welcome. `role` names the process, e.g. `edge`; `key` proves it (see
    `ipc.keys`)."""

    role: str
    key: bytes = b""


class Welcome(Struct, tag=True, frozen=True):
    """`policy` is the published policy snapshot as JSON; `boot_id` changes with every start of the store."""

    boot_id: str
    policy: bytes


class Resolve(Struct, tag=True, frozen=True):
    """Who is behind this forward-path (already parsed, domain as A-label in lower case)?"""

    local: str
    domain: str


class Resolved(Struct, tag=True, frozen=True):
    """`kind`: mailbox (ids, and `forwards`: paths elsewhere that get it too), bounce (a reverse-path of mail that was
    forwarded: what comes with a null reverse-path goes back to `forwards`), unknown (hosted domain, no such
    recipient), routed (all mail for the domain goes to a server of the tenant, by its policy's inbound route), foreign
    (domain not hosted here), unavailable (the tenant's database can't be read now: 451), disabled (tenant or mailbox
    switched off: 550 5.2.1), full (all its mailboxes are over their quota). `is_limited`: a quota or
    the number of bounces counts, so the answer holds for now only. `via`: the address here that leads to `forwards`,
    where it is not the one that was asked for."""

    kind: Literal["mailbox", "unknown", "routed", "foreign", "unavailable", "disabled", "full", "bounce"]
    tenant: TenantName = TenantName("")
    mailboxes: tuple[MailboxId, ...] = ()
    is_limited: bool = False
    forwards: tuple[str, ...] = ()
    via: str = ""


class Authenticate(Struct, tag=True, frozen=True):
    """`login` is `user@domain`, `tenant/user` or `tenant/user@domain`; `peer` the client's address for back-off;
    `protocol` what the password is to open (`command`: the administrative socket)."""

    login: str
    password: bytes
    peer: str
    protocol: Protocol = "smtp"


class Authenticated(Struct, tag=True, frozen=True):
    """`ok` false carries nothing else but `retry_after` seconds (0: at once). `send_as` holds the canonical addresses
    that the account may use as reverse-path. `ticket` is for Renew."""

    ok: bool
    tenant: TenantName = TenantName("")
    account: str = ""
    send_as: tuple[str, ...] = ()
    retry_after: float = 0.0
    ticket: str = ""


class Renew(Struct, tag=True, frozen=True):
    """Something changed in the tenant's directory: does the login that got this `ticket` still hold, and for what?
    Answered by Authenticated."""

    account: str
    ticket: str
    protocol: Protocol = "smtp"


class NewEntry(Struct, frozen=True):
    """One message for one tenant, to be kept. The stored bytes are `prefix` (trace headers) followed by the body less
    its `cuts` (sorted, non-overlapping byte ranges). The body is `inline`, or the file `staged` (absolute path, read,
    then removed by the edge). `seen`: to be told to the author's domain in its next report;
    `reports`, `tls_reports`: what it tells of the tenant's own domains."""

    envelope: Envelope
    decision: Decision
    prefix: bytes
    inline: bytes | None = None
    staged: str = ""
    body_size: int = 0
    cuts: tuple[tuple[int, int], ...] = ()
    inspection: Inspection | None = None
    events: tuple[Event, ...] = ()
    seen: tuple[Seen, ...] = ()
    reports: tuple[ReceivedReport, ...] = ()
    tls_reports: tuple[TlsReport, ...] = ()


class Commit(Struct, tag=True, frozen=True):
    """Keep all of these or none; answered by Done once they are on stable storage."""

    entries: tuple[NewEntry, ...]


class Note(Struct, tag=True, frozen=True):
    """Timeline of a message that was refused or deferred in the dialogue, not synced; answered by Done. `seen` as in
    NewEntry, of one that was refused."""

    envelope: Envelope
    events: tuple[Event, ...]
    seen: tuple[Seen, ...] = ()


class KeepTurnedAway(Struct, tag=True, frozen=True):
    """From the edge: who was refused before the end of a message, not synced; answered by Done."""

    turned_away: tuple[TurnedAway, ...]


class Lease(Struct, tag=True, frozen=True):
    """From the relay: up to `limit` due recipients for `seconds`; answered by Leased. `holder` is this start of the
    relay; destinations in `excluded` are busy."""

    holder: str
    limit: int
    seconds: float
    excluded: tuple[str, ...] = ()


class Work(Struct, frozen=True):
    """One recipient to relay, attempt `number` (1 for the first) recorded already. `message` and `n` name its row;
    `position` is its recipient's index in the envelope. The stored bytes are `inline`, or in `file` (absolute path);
    `digest` is theirs (see model.digest)."""

    message: int
    n: int
    position: int
    number: int
    destination: str
    expires_at: float
    envelope: Envelope
    size: int
    inline: bytes | None = None
    file: str = ""
    digest: bytes = b""


class Leased(Struct, tag=True, frozen=True):
    """`next_due`: seconds since 1970 when the next recipient is due, None where none waits."""

    work: tuple[Work, ...]
    next_due: float | None = None


class Ended(Struct, frozen=True):
    """How the attempt for the row (`message`, `n`) ended; `facts` go into the timeline (host, TLS, replies …). With a
    `queue_id` it counts for this message only: another may have the row by now, or the spool be an older one."""

    message: int
    n: int
    outcome: Outcome
    facts: dict[str, Any] = {}
    queue_id: str = ""


class Record(Struct, tag=True, frozen=True):
    """Outcomes of leased work; answered by Done once durable. The store writes DSNs in the same transaction."""

    holder: str
    ended: tuple[Ended, ...]


class GetSigningKeys(Struct, tag=True, frozen=True):
    """From the relay: what may sign mail of the tenant that is from `domain`? Answered by SigningKeysFound."""

    tenant: TenantName
    domain: str


class SigningKey(Struct, frozen=True):
    """`private` is PKCS #8 in DER; `record` must be published at `selector._domainkey.<domain>` before it is used."""

    selector: str
    private: bytes
    record: str

    def __repr__(self) -> str:
        return f"SigningKey({self.selector!r})"


class SigningKeysFound(Struct, tag=True, frozen=True):
    """The newest first; none where the domain is not the tenant's or has no keys."""

    keys: tuple[SigningKey, ...]


class ReleaseOwn(Struct, tag=True, frozen=True):
    """A logged-in user writes to the release address with this local part (model.release_address); answered by Done
    once what it names is released, by HandedOver where the tenant's administrators were asked to."""

    account: str
    local: str


class HandedOver(Struct, tag=True, frozen=True):
    """Its owner may not release it; the administrators have it now."""


class ShowKey(Struct, tag=True, frozen=True):
    """The key of the command line (see `ipc.keys`): who gives commands by the account alone shows it first."""

    key: bytes


class LogIn(Struct, tag=True, frozen=True):
    """On the admin socket: the commands that follow are given by this user. Answered by Done."""

    login: str
    password: bytes


class GetChallenge(Struct, tag=True, frozen=True):
    """On the admin socket, from an operator; answered by Challenge."""


class Challenge(Struct, tag=True, frozen=True):
    nonce: bytes


class Prove(Struct, tag=True, frozen=True):
    """The signature of the challenge by an operator's key (Ed25519); answered by Done."""

    signature: bytes


class GetReturnPath(Struct, tag=True, frozen=True):
    """From the relay: which reverse-path has mail from `reverse_path` when `forwarder`, an address of the tenant,
    forwards it? Answered by ReturnPath."""

    tenant: TenantName
    forwarder: str
    reverse_path: str


class ReturnPath(Struct, tag=True, frozen=True):
    """Empty for the null one."""

    path: str


class Admin(Struct, tag=True, frozen=True):
    """One administrative command, e.g. `tenant.add` with {"name": "acme", "domains": ["acme.example"]}."""

    command: str
    arguments: dict[str, Any] = {}


class Result(Struct, tag=True, frozen=True):
    """What an Admin command returned: plain JSON values."""

    value: Any = None


class Done(Struct, tag=True, frozen=True):
    """It is done (for Commit: durable)."""


class Failed(Struct, tag=True, frozen=True):
    """It was not done. `kind`: user, not-found, conflict, unavailable, full (no space), internal."""

    kind: Literal["user", "not-found", "conflict", "unavailable", "full", "internal"]
    text: str


class PolicyChanged(Struct, tag=True, frozen=True):
    """Pushed by the store to every connection after a reload."""

    policy: bytes


class GetNewKeys(Struct, tag=True, frozen=True):
    """From the relay, now and then: which new DKIM keys wait for the DNS? Those that a schedule wants are made by it.
    Answered by NewKeys."""


class NewKey(Struct, frozen=True):
    """`record` is to be published at `selector._domainkey.<domain>`."""

    tenant: TenantName
    domain: str
    selector: str
    record: str


class NewKeys(Struct, tag=True, frozen=True):
    keys: tuple[NewKey, ...]


class KeysShown(Struct, tag=True, frozen=True):
    """From the relay: the DNS shows these keys of `domain`, so older ones are retired. Answered by Done."""

    domain: str
    selectors: tuple[str, ...]


class DirectoryChanged(Struct, tag=True, frozen=True):
    """Pushed when users, mailboxes, aliases or domains changed: drop cached Resolved answers (of `tenant`, or all)."""

    tenant: TenantName = TenantName("")


class RelayWork(Struct, tag=True, frozen=True):
    """Pushed to a connection whose role is `relay` when something for it became due: lease now."""


AdminRequest = ShowKey | LogIn | GetChallenge | Prove | Admin
Request = (
    Hello
    | Resolve
    | Authenticate
    | Renew
    | Commit
    | Note
    | KeepTurnedAway
    | Lease
    | Record
    | GetSigningKeys
    | GetReturnPath
    | GetNewKeys
    | KeysShown
    | GetDmarcReport
    | KeepReport
    | ReleaseOwn
    | AdminRequest
)
Answer = (
    Welcome
    | Resolved
    | Authenticated
    | Leased
    | SigningKeysFound
    | ReturnPath
    | NewKeys
    | DmarcReportDue
    | Challenge
    | Result
    | HandedOver
    | Done
    | Failed
)
Push = PolicyChanged | DirectoryChanged | RelayWork
