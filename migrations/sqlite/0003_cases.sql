-- Cases, the evidence that closes them, the work of human beings, and the ledger of it all.

CREATE TABLE evidence_reads (
    id INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    realm TEXT NOT NULL,
    file_name TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    observed_at INTEGER NOT NULL,         -- what the source said is true as of here
    read_at INTEGER NOT NULL,
    entries INTEGER NOT NULL,
    rejected INTEGER NOT NULL
) STRICT;

CREATE TABLE evidence (
    id INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL REFERENCES accounts (id),
    read_id INTEGER NOT NULL REFERENCES evidence_reads (id),
    line INTEGER NOT NULL,
    facts TEXT NOT NULL,                  -- the normal form, as JSON
    grade TEXT NOT NULL,                  -- A to E
    observed_at INTEGER NOT NULL
) STRICT;
CREATE INDEX evidence_account ON evidence (account_id, id);

CREATE TABLE cases (
    id INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL REFERENCES accounts (id),
    person_id INTEGER REFERENCES persons (id), -- who is told; none: the operators
    route TEXT NOT NULL,                  -- holder, owner, operators
    department TEXT NOT NULL,             -- as it was when the case opened
    category TEXT NOT NULL,               -- the severest of its findings
    severity TEXT NOT NULL,
    found_at INTEGER NOT NULL,            -- the earliest import of its findings
    bad_as_of INTEGER NOT NULL,           -- the latest of its findings
    baseline TEXT,                        -- of the finding with that bad_as_of, as JSON
    opened_at INTEGER NOT NULL,
    reopens_id INTEGER REFERENCES cases (id), -- the closed case that a later audit proved wrong
    state TEXT NOT NULL,                  -- open, notified, closed
    standing TEXT NOT NULL,               -- what the directory's word amounts to now
    thread_id INTEGER,                    -- the conversation with its person
    notice_at INTEGER,                    -- first accepted notice or human contact
    deadline_at INTEGER,                  -- fixed when the first notice was queued, or a human task opened
    not_reached TEXT,                     -- why the notice did not get through
    contained_at INTEGER,                 -- sign-in blocked and sessions revoked
    exempt_until INTEGER,
    closed_at INTEGER,
    closed_as TEXT,                       -- reset, disabled, withdrawn
    safe_at INTEGER,                      -- when the directory says it happened
    evidence_id INTEGER REFERENCES evidence (id)
) STRICT;
CREATE UNIQUE INDEX cases_one_open ON cases (account_id) WHERE state <> 'closed';
CREATE INDEX cases_account ON cases (account_id, id);
CREATE INDEX cases_reopens ON cases (reopens_id) WHERE reopens_id IS NOT NULL;
CREATE INDEX cases_thread ON cases (thread_id) WHERE thread_id IS NOT NULL;
CREATE INDEX cases_person ON cases (person_id) WHERE person_id IS NOT NULL;
CREATE INDEX cases_unplanned ON cases (COALESCE(person_id, 0), id) WHERE state = 'open' AND thread_id IS NULL; -- person by person; 0 is nobody

CREATE TABLE tasks (
    id INTEGER PRIMARY KEY,
    case_id INTEGER REFERENCES cases (id),
    kind TEXT NOT NULL,                   -- reach, operators, contain, decide
    reason TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    done_at INTEGER,
    done_by TEXT
) STRICT;
CREATE UNIQUE INDEX tasks_one_open ON tasks (case_id, kind) WHERE done_at IS NULL;

CREATE TABLE ledger (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,                  -- when it was written down
    actor TEXT NOT NULL,                  -- operator, or "bell"
    act TEXT NOT NULL,                    -- case.opened, campaign.approved …
    case_id INTEGER,                      -- the case it moves
    thing TEXT,                           -- what else it is about: campaign:3
    effective_at INTEGER,                 -- the moment the fact itself speaks of
    detail TEXT                           -- JSON; no personal data
) STRICT;
CREATE INDEX ledger_case ON ledger (case_id, id) WHERE case_id IS NOT NULL;
CREATE INDEX ledger_at ON ledger (at);
CREATE TRIGGER ledger_is_never_changed BEFORE UPDATE ON ledger BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
-- INSERT OR REPLACE deletes without asking the trigger below.
CREATE TRIGGER ledger_is_never_replaced BEFORE INSERT ON ledger WHEN EXISTS (SELECT 1 FROM ledger WHERE id = NEW.id) BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_is_never_shortened BEFORE DELETE ON ledger BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
