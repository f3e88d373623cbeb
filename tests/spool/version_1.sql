-- A spool as schema version 1 left it: 1mcc5rkzzzzzzzz0 waits for bob (here) and carl (relay), 1mcc5rkzzzzzzzz1 is
-- quarantined for eve.
BEGIN TRANSACTION;
CREATE TABLE content (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL);
INSERT INTO content VALUES(1,X'52656365697665643A20627920746573740D0A5375626A6563743A2068656C6C6F0D0A0D0A68690D0A');
INSERT INTO content VALUES(2,X'52656365697665643A20627920746573740D0A5375626A6563743A2077616974730D0A0D0A696E2071756172616E74696E650D0A');
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
INSERT INTO message VALUES(1,'1mcc5rkzzzzzzzz0','acme','<1mcc5rkzzzzzzzz0@sender.example>',1800000000.0,1,CAST('{"queue_id":"1mcc5rkzzzzzzzz0","tenant":"acme","direction":"inbound","reverse_path":"ann@sender.example","recipients":[{"forward_path":"bob@acme.example","mailboxes":["box-bob"],"notify":[],"orcpt":""},{"forward_path":"carl@far.example","mailboxes":[],"notify":[],"orcpt":""}],"client":{"address":"192.0.2.1","port":0,"helo":"mx.sender.example","esmtp":true,"tls_version":"","tls_cipher":"","account":""},"received_at":1800000000.0,"body":"7BIT","smtputf8":false,"requiretls":false,"ret":"","envid":"","message_id":"<1mcc5rkzzzzzzzz0@sender.example>"}' AS BLOB),CAST('{"action":"accept","rule":"test rule","reason":"because of the test","policy_version":"v1","place":"","code":554}' AS BLOB),NULL,CAST('[{"at":1800000000.0,"kind":"received","facts":{"size":22},"recipient":""},{"at":1800000000.0,"kind":"committed","facts":{"recipients":2,"state":"queued","size":41},"recipient":""}]' AS BLOB),41,1,'',0);
INSERT INTO message VALUES(2,'1mcc5rkzzzzzzzz1','acme','<1mcc5rkzzzzzzzz1@sender.example>',1800000000.0,1,CAST('{"queue_id":"1mcc5rkzzzzzzzz1","tenant":"acme","direction":"inbound","reverse_path":"ann@sender.example","recipients":[{"forward_path":"eve@acme.example","mailboxes":["box-bob"],"notify":[],"orcpt":""}],"client":{"address":"192.0.2.1","port":0,"helo":"mx.sender.example","esmtp":true,"tls_version":"","tls_cipher":"","account":""},"received_at":1800000000.0,"body":"7BIT","smtputf8":false,"requiretls":false,"ret":"","envid":"","message_id":"<1mcc5rkzzzzzzzz1@sender.example>"}' AS BLOB),CAST('{"action":"quarantine","rule":"test rule","reason":"because of the test","policy_version":"v1","place":"","code":554}' AS BLOB),NULL,CAST('[{"at":1800000000.0,"kind":"received","facts":{"size":33},"recipient":""},{"at":1800000000.0,"kind":"committed","facts":{"recipients":1,"state":"quarantined","size":52},"recipient":""}]' AS BLOB),52,1,'',0);
CREATE INDEX message_by_message_id ON message (message_id) WHERE message_id <> '';
CREATE TABLE notice (
    id INTEGER PRIMARY KEY,
    message INTEGER NOT NULL,
    position INTEGER NOT NULL,       -- of the recipient in the envelope
    at REAL NOT NULL,
    outcome BLOB NOT NULL,           -- JSON of model.outcome.Outcome; queued: a delay
    retry_until REAL NOT NULL
);
CREATE INDEX notice_by_message ON notice (message);
CREATE TABLE policy_version (version TEXT PRIMARY KEY, published_at REAL NOT NULL, snapshot BLOB NOT NULL);
INSERT INTO policy_version VALUES('v1',1800000000.0,CAST('{}' AS BLOB));
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
INSERT INTO recipient VALUES(1,0,0,'bob@acme.example','box-bob','acme','acme.example','ann@sender.example',1800000000.0,'queued',0,1800000000.0,'',0.0,1800014400.0,1800432000.0,'',0,'','',0,0,1);
INSERT INTO recipient VALUES(1,1,1,'carl@far.example','','acme','far.example','ann@sender.example',1800000000.0,'queued',0,1800000000.0,'',0.0,1800014400.0,1800432000.0,'',0,'','',0,0,1);
INSERT INTO recipient VALUES(2,0,0,'eve@acme.example','box-bob','acme','acme.example','ann@sender.example',1800000000.0,'quarantined',0,1800000000.0,'',0.0,1800014400.0,1800432000.0,'because of the test',0,'','',0,0,1);
CREATE INDEX by_destination ON recipient (destination, message, n) WHERE listed = 1;
CREATE INDEX by_reverse_path ON recipient (reverse_path, message, n) WHERE listed = 1;
CREATE INDEX by_state ON recipient (state, message, n) WHERE listed = 1;
CREATE INDEX by_tenant ON recipient (tenant, message, n) WHERE listed = 1;
CREATE INDEX by_tenant_state ON recipient (tenant, state, message, n) WHERE listed = 1;
CREATE INDEX local_due ON recipient (tenant, next_attempt_at) WHERE listed = 1 AND state = 'queued' AND mailbox <> '';
CREATE INDEX local_due_at ON recipient (next_attempt_at) WHERE listed = 1 AND state = 'queued' AND mailbox <> '';
CREATE INDEX relay_due ON recipient (tenant, destination, next_attempt_at)
    WHERE listed = 1 AND state = 'queued' AND mailbox = '';
CREATE INDEX relay_due_at ON recipient (next_attempt_at) WHERE listed = 1 AND state = 'queued' AND mailbox = '';
CREATE INDEX unscanned ON recipient (message) WHERE unscanned = 1;
CREATE TABLE timeline (
    message INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    at REAL NOT NULL,
    kind TEXT NOT NULL,
    recipient TEXT NOT NULL,
    facts BLOB NOT NULL,             -- JSON object
    PRIMARY KEY (message, seq)
) WITHOUT ROWID;
PRAGMA user_version=1;
COMMIT;
