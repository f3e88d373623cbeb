"""The tables of the spool database, as numbered steps from an empty one. A released step is never changed: what comes
later is a step of its own at the end, so every database that ever ran comes to the same tables."""

from __future__ import annotations

from collections.abc import Sequence

import apsw

_FIRST = """
-- every message that was accepted (accepted=1) or refused in the dialogue (0), until retention forgets it
CREATE TABLE message (
    id INTEGER PRIMARY KEY,          -- grows with time
    queue_id TEXT NOT NULL UNIQUE,
    tenant TEXT NOT NULL,
    message_id TEXT NOT NULL,
    received_at REAL NOT NULL,
    accepted INTEGER NOT NULL,
    envelope BLOB NOT NULL,          -- JSON of model.envelope.Envelope
    decision BLOB,                   -- JSON of model.decision.Decision
    inspection BLOB,                 -- JSON of model.verdict.Inspection
    events BLOB NOT NULL,            -- JSON list of model.event.Event: what was known when the row was written
    content_size INTEGER,
    content_format INTEGER,
    content_key_id TEXT,
    content_in_file INTEGER
);
CREATE INDEX message_by_message_id ON message (message_id) WHERE message_id <> '';

-- one row for each recipient that waits; it leaves in the transaction that records its end
CREATE TABLE recipient (
    message INTEGER NOT NULL,
    n INTEGER NOT NULL,
    position INTEGER NOT NULL,
    forward_path TEXT NOT NULL,
    mailbox TEXT NOT NULL,           -- empty: for the relay
    tenant TEXT NOT NULL,
    destination TEXT NOT NULL,
    reverse_path TEXT NOT NULL,
    received_at REAL NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    next_attempt_at REAL NOT NULL,   -- under a lease: its end
    lease_holder TEXT NOT NULL,      -- empty: nobody
    lease_until REAL NOT NULL,
    notice_at REAL,
    expires_at REAL NOT NULL,
    reason TEXT NOT NULL,
    reply_code INTEGER NOT NULL,
    reply_enhanced TEXT NOT NULL,
    notify TEXT NOT NULL,            -- what the sender is told of: some of SUCCESS,FAILURE,DELAY
    unscanned INTEGER NOT NULL,      -- 1: held since it came, until it has been scanned; nobody can release it
    is_proven INTEGER NOT NULL,      -- 0: nobody knows whether the sender is who it says; then never a bounce
    -- 0 while the attempt made together with the commit is under way: almost every local row lives only that long,
    -- and stays out of all the indexes below
    listed INTEGER NOT NULL,
    PRIMARY KEY (message, n)
) WITHOUT ROWID;
CREATE INDEX local_due_at ON recipient (next_attempt_at) WHERE listed = 1 AND state = 'queued' AND mailbox <> '';
CREATE INDEX local_due ON recipient (tenant, next_attempt_at) WHERE listed = 1 AND state = 'queued' AND mailbox <> '';
CREATE INDEX relay_due ON recipient (tenant, destination, next_attempt_at)
    WHERE listed = 1 AND state = 'queued' AND mailbox = '';
CREATE INDEX relay_due_at ON recipient (next_attempt_at) WHERE listed = 1 AND state = 'queued' AND mailbox = '';
CREATE INDEX unscanned ON recipient (message) WHERE unscanned = 1;
CREATE INDEX by_tenant ON recipient (tenant, message, n) WHERE listed = 1;
CREATE INDEX by_tenant_state ON recipient (tenant, state, message, n) WHERE listed = 1;
CREATE INDEX by_state ON recipient (state, message, n) WHERE listed = 1;
CREATE INDEX by_destination ON recipient (destination, message, n) WHERE listed = 1;
CREATE INDEX by_reverse_path ON recipient (reverse_path, message, n) WHERE listed = 1;

-- small contents; large ones are files. `id` is the message's
CREATE TABLE content (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL);

-- notices that senders are owed: a row comes with the outcome that it is about, and goes with the notice
CREATE TABLE notice (
    id INTEGER PRIMARY KEY,
    message INTEGER NOT NULL,
    position INTEGER NOT NULL,       -- of the recipient in the envelope
    at REAL NOT NULL,
    outcome BLOB NOT NULL,           -- JSON of model.outcome.Outcome; queued: a delay
    retry_until REAL NOT NULL
);
CREATE INDEX notice_by_message ON notice (message);

-- what happened after the message was kept
CREATE TABLE timeline (
    message INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    at REAL NOT NULL,
    kind TEXT NOT NULL,
    recipient TEXT NOT NULL,
    facts BLOB NOT NULL,             -- JSON object
    PRIMARY KEY (message, seq)
) WITHOUT ROWID;

CREATE TABLE policy_version (version TEXT PRIMARY KEY, published_at REAL NOT NULL, snapshot BLOB NOT NULL);
"""

_SECOND = """
-- what recipients are to be told of mail of theirs in quarantine: 0 nothing, 1 in the next digest, 2 by a notice
ALTER TABLE recipient ADD COLUMN untold INTEGER NOT NULL DEFAULT 0;
CREATE INDEX untold ON recipient (untold, tenant, mailbox, message, n) WHERE untold > 0 AND state = 'quarantined';

-- the last day (since 1970, UTC) for which a mailbox got its digest
CREATE TABLE digest (mailbox TEXT PRIMARY KEY, day INTEGER NOT NULL) WITHOUT ROWID;

-- parts of messages by day (since 1970, UTC), tenant and verdict; `reason` where they were not scanned
CREATE TABLE coverage (
    day INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    verdict TEXT NOT NULL,
    reason TEXT NOT NULL,
    parts INTEGER NOT NULL,
    PRIMARY KEY (day, tenant, verdict, reason)
) WITHOUT ROWID;
"""

_THIRD = """
-- what mail showed of its authors' domains, by day (since 1970, UTC), until the domain has its DMARC report
CREATE TABLE dmarc_seen (
    day INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    domain TEXT NOT NULL,            -- whose policy it is
    seen BLOB NOT NULL,              -- JSON of model.dmarc.Seen
    messages INTEGER NOT NULL,
    PRIMARY KEY (day, tenant, domain, seen)
) WITHOUT ROWID;

-- TLS reports that were made as mail: for which day, about which domain
CREATE TABLE tls_report (
    day INTEGER NOT NULL,
    domain TEXT NOT NULL,
    PRIMARY KEY (day, domain)
) WITHOUT ROWID;
"""

_FOURTH = """
-- what others report of mail in the names of tenants' domains, by day (since 1970, UTC) and source
CREATE TABLE dmarc_received (
    tenant TEXT NOT NULL,
    domain TEXT NOT NULL,
    day INTEGER NOT NULL,
    source TEXT NOT NULL,
    disposition TEXT NOT NULL,
    dkim INTEGER NOT NULL,           -- 1: passed and aligned
    spf INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    PRIMARY KEY (tenant, domain, day, source, disposition, dkim, spf)
) WITHOUT ROWID;

-- the reports that this was in
CREATE TABLE dmarc_report (
    tenant TEXT NOT NULL,
    domain TEXT NOT NULL,
    day INTEGER NOT NULL,
    reporter TEXT NOT NULL,
    report_id TEXT NOT NULL,
    PRIMARY KEY (tenant, domain, day, reporter, report_id)
) WITHOUT ROWID;
"""

_FIFTH = """
-- distinct contents of messages by day (since 1970, UTC) and tenant, and of how many the verdict was remembered
CREATE TABLE remembered (
    day INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    contents INTEGER NOT NULL,
    remembered INTEGER NOT NULL,
    PRIMARY KEY (day, tenant)
) WITHOUT ROWID;
"""

_SIXTH = """
-- SHA-256 of the stored bytes; NULL where an earlier version kept them: then only their number can be checked
ALTER TABLE message ADD COLUMN content_digest BLOB;

-- messages whose content was found to be damaged while they waited
CREATE TABLE damaged (
    message INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    what TEXT NOT NULL,
    told INTEGER NOT NULL            -- 1: the administrators of its tenant know
);
"""

_SEVENTH = """
-- one row: the clocks as they were read last, and what is in doubt about the wall clock (spool.clock_steps)
CREATE TABLE clock (
    id INTEGER PRIMARY KEY,          -- 1
    wall REAL NOT NULL,
    since_boot REAL NOT NULL,
    boot_id TEXT NOT NULL,
    is_synchronised INTEGER NOT NULL,
    doubted_since REAL,
    shift REAL NOT NULL,
    was_free INTEGER NOT NULL
);
"""

_EIGHTH = """
-- clients that were refused before a message of theirs was kept; what comes again is one row
CREATE TABLE turned_away (
    id INTEGER PRIMARY KEY,
    network TEXT NOT NULL,           -- that it counts for: an IPv4 /24, an IPv6 /48
    tenant TEXT NOT NULL,            -- whose business it is; empty: nobody's
    client TEXT NOT NULL,
    sender TEXT NOT NULL,            -- as it was given; <>: the null one, empty: none
    recipient TEXT NOT NULL,
    reply TEXT NOT NULL,
    first REAL NOT NULL,
    last REAL NOT NULL,
    times INTEGER NOT NULL,
    facts BLOB NOT NULL              -- JSON of spool.turned_away.Circumstances
);
CREATE INDEX turned_away_by_client ON turned_away (client, sender, recipient);
CREATE INDEX turned_away_by_sender ON turned_away (sender COLLATE NOCASE);
CREATE INDEX turned_away_by_recipient ON turned_away (recipient COLLATE NOCASE);
CREATE INDEX turned_away_by_network ON turned_away (network, last);
CREATE INDEX turned_away_by_tenant ON turned_away (tenant, last);
CREATE INDEX turned_away_by_age ON turned_away (last);
"""

_NINTH = """
-- 1: whoever it is kept from has handed it to the tenant's administrators, who may see and release it
ALTER TABLE recipient ADD COLUMN handed INTEGER NOT NULL DEFAULT 0;
CREATE INDEX handed ON recipient (tenant, message, n) WHERE handed = 1;
"""

_TENTH = """
-- TLS reports of others about tenants' domains, by day (since 1970, UTC)
CREATE TABLE tls_received (
    tenant TEXT NOT NULL,
    domain TEXT NOT NULL,
    day INTEGER NOT NULL,
    reporter TEXT NOT NULL,
    report_id TEXT NOT NULL,
    successes INTEGER NOT NULL,      -- sessions
    failed INTEGER NOT NULL,
    failures BLOB NOT NULL,          -- JSON list of model.received_report.TlsFailure
    PRIMARY KEY (tenant, domain, day, reporter, report_id)
) WITHOUT ROWID;
"""

STEPS: tuple[str, ...] = (_FIRST, _SECOND, _THIRD, _FOURTH, _FIFTH, _SIXTH, _SEVENTH, _EIGHTH, _NINTH, _TENTH)
"""The SQL of step 1, 2, ...; the number of steps done stands in the database's `user_version`."""


def migrate(connection: apsw.Connection, steps: Sequence[str] = STEPS) -> None:
    """Runs the steps that the database lacks, each in one synced transaction with its number: a crash or an error
    leaves the database as the step before left it."""
    done = connection.pragma("user_version")
    for number, step in enumerate(steps[done:], done + 1):
        with connection:
            connection.execute(step)
            connection.pragma("user_version", number)
