-- Seals: a chain of hashes over all that is only ever added to; and what of it was erased, so that the chain still holds.

CREATE TABLE seals (
    number INTEGER PRIMARY KEY,           -- its place in the chain: 1, 2, 3 …
    made_at INTEGER NOT NULL,
    table_name TEXT NOT NULL,             -- whose rows it covers
    after_id INTEGER NOT NULL,            -- those above this number …
    upto_id INTEGER NOT NULL,             -- … and not above this one
    row_count INTEGER NOT NULL,
    rows_hash TEXT NOT NULL,              -- SHA-256 over the hashes of the rows
    previous TEXT NOT NULL,               -- hash of the seal before it
    hash TEXT NOT NULL,                   -- its own
    signature TEXT,                       -- Ed25519 over the hash; none: no key was configured
    leaves TEXT NOT NULL,                 -- base64: a short mark of each row, to say which one was changed
    salts TEXT NOT NULL                   -- base64: one for each text that can be erased; zeros once it was
) STRICT;

CREATE INDEX seals_of_table ON seals (table_name, upto_id);
CREATE INDEX ledger_walks ON ledger (id) WHERE act = 'ledger.verified';

CREATE TABLE erasures (
    id INTEGER PRIMARY KEY,
    table_name TEXT NOT NULL,             -- where the erased text stood
    row_id INTEGER NOT NULL,              -- in which row
    commitment TEXT NOT NULL,             -- the salted hash that was sealed of it; nothing leads back to the text
    left_hash TEXT NOT NULL,              -- SHA-256 of what stands there now
    erased_at INTEGER NOT NULL,
    UNIQUE (table_name, row_id)
) STRICT;

-- Versions of statements get a number in the order in which they were written.
CREATE TABLE statement_versions_0021 (
    id INTEGER PRIMARY KEY,
    statement_id INTEGER NOT NULL REFERENCES statements (id),
    version INTEGER NOT NULL,
    body TEXT NOT NULL,                   -- as it was typed
    written_by TEXT NOT NULL,             -- operator, or bell
    written_at INTEGER NOT NULL,
    UNIQUE (statement_id, version)
) STRICT;
INSERT INTO statement_versions_0021 (statement_id, version, body, written_by, written_at)
SELECT statement_id, version, body, written_by, written_at FROM statement_versions ORDER BY written_at, statement_id, version;
DROP TABLE statement_versions;
ALTER TABLE statement_versions_0021 RENAME TO statement_versions;

-- What is only ever added to refuses all else; a text about somebody may be erased, once that is written down.
DROP TRIGGER ledger_is_never_changed;
CREATE TRIGGER ledger_never_changed BEFORE UPDATE OF id, at, actor, act, case_id, thing, effective_at ON ledger BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_only_erased BEFORE UPDATE OF detail ON ledger WHEN NOT EXISTS (SELECT 1 FROM erasures e WHERE e.table_name = 'ledger' AND e.row_id = OLD.id) BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER templates_never_changed BEFORE UPDATE ON templates BEGIN SELECT RAISE(ABORT, 'templates is append-only'); END;
CREATE TRIGGER templates_never_replaced BEFORE INSERT ON templates WHEN EXISTS (SELECT 1 FROM templates WHERE id = NEW.id) BEGIN SELECT RAISE(ABORT, 'templates is append-only'); END;
CREATE TRIGGER templates_never_shortened BEFORE DELETE ON templates BEGIN SELECT RAISE(ABORT, 'templates is append-only'); END;
CREATE TRIGGER bounces_never_changed BEFORE UPDATE OF id, delivery_id, received_at, action, status ON bounces BEGIN SELECT RAISE(ABORT, 'bounces is append-only'); END;
CREATE TRIGGER bounces_only_erased BEFORE UPDATE OF reply ON bounces WHEN NOT EXISTS (SELECT 1 FROM erasures e WHERE e.table_name = 'bounces' AND e.row_id = OLD.id) BEGIN SELECT RAISE(ABORT, 'bounces is append-only'); END;
CREATE TRIGGER bounces_never_replaced BEFORE INSERT ON bounces WHEN EXISTS (SELECT 1 FROM bounces WHERE id = NEW.id) BEGIN SELECT RAISE(ABORT, 'bounces is append-only'); END;
CREATE TRIGGER bounces_never_shortened BEFORE DELETE ON bounces BEGIN SELECT RAISE(ABORT, 'bounces is append-only'); END;
CREATE TRIGGER replies_never_changed BEFORE UPDATE ON replies BEGIN SELECT RAISE(ABORT, 'replies is append-only'); END;
CREATE TRIGGER replies_never_replaced BEFORE INSERT ON replies WHEN EXISTS (SELECT 1 FROM replies WHERE id = NEW.id) BEGIN SELECT RAISE(ABORT, 'replies is append-only'); END;
CREATE TRIGGER replies_never_shortened BEFORE DELETE ON replies BEGIN SELECT RAISE(ABORT, 'replies is append-only'); END;
CREATE TRIGGER containments_never_changed BEFORE UPDATE OF id, account_id, act, effective_at, done_by, noted_at, noted_by ON containments BEGIN SELECT RAISE(ABORT, 'containments is append-only'); END;
CREATE TRIGGER containments_only_erased BEFORE UPDATE OF how ON containments WHEN NOT EXISTS (SELECT 1 FROM erasures e WHERE e.table_name = 'containments' AND e.row_id = OLD.id) BEGIN SELECT RAISE(ABORT, 'containments is append-only'); END;
CREATE TRIGGER containments_never_replaced BEFORE INSERT ON containments WHEN EXISTS (SELECT 1 FROM containments WHERE id = NEW.id) BEGIN SELECT RAISE(ABORT, 'containments is append-only'); END;
CREATE TRIGGER containments_never_shortened BEFORE DELETE ON containments BEGIN SELECT RAISE(ABORT, 'containments is append-only'); END;
CREATE TRIGGER statement_versions_never_changed BEFORE UPDATE ON statement_versions BEGIN SELECT RAISE(ABORT, 'statement_versions is append-only'); END;
CREATE TRIGGER statement_versions_never_replaced BEFORE INSERT ON statement_versions WHEN EXISTS (SELECT 1 FROM statement_versions WHERE id = NEW.id) BEGIN SELECT RAISE(ABORT, 'statement_versions is append-only'); END;
CREATE TRIGGER statement_versions_never_shortened BEFORE DELETE ON statement_versions BEGIN SELECT RAISE(ABORT, 'statement_versions is append-only'); END;
CREATE TRIGGER awareness_never_changed BEFORE UPDATE ON awareness BEGIN SELECT RAISE(ABORT, 'awareness is append-only'); END;
CREATE TRIGGER awareness_never_replaced BEFORE INSERT ON awareness WHEN EXISTS (SELECT 1 FROM awareness WHERE id = NEW.id) BEGIN SELECT RAISE(ABORT, 'awareness is append-only'); END;
CREATE TRIGGER awareness_never_shortened BEFORE DELETE ON awareness BEGIN SELECT RAISE(ABORT, 'awareness is append-only'); END;
CREATE TRIGGER duty_decisions_never_changed BEFORE UPDATE ON duty_decisions BEGIN SELECT RAISE(ABORT, 'duty_decisions is append-only'); END;
CREATE TRIGGER duty_decisions_never_replaced BEFORE INSERT ON duty_decisions WHEN EXISTS (SELECT 1 FROM duty_decisions WHERE id = NEW.id) BEGIN SELECT RAISE(ABORT, 'duty_decisions is append-only'); END;
CREATE TRIGGER duty_decisions_never_shortened BEFORE DELETE ON duty_decisions BEGIN SELECT RAISE(ABORT, 'duty_decisions is append-only'); END;
CREATE TRIGGER erasures_never_changed BEFORE UPDATE ON erasures BEGIN SELECT RAISE(ABORT, 'erasures is append-only'); END;
CREATE TRIGGER erasures_never_replaced BEFORE INSERT ON erasures WHEN EXISTS (SELECT 1 FROM erasures WHERE id = NEW.id) BEGIN SELECT RAISE(ABORT, 'erasures is append-only'); END;
CREATE TRIGGER erasures_never_shortened BEFORE DELETE ON erasures BEGIN SELECT RAISE(ABORT, 'erasures is append-only'); END;
CREATE TRIGGER seals_never_changed BEFORE UPDATE OF number, made_at, table_name, after_id, upto_id, row_count, rows_hash, previous, hash, signature, leaves ON seals BEGIN SELECT RAISE(ABORT, 'seals is append-only'); END;
CREATE TRIGGER seals_never_shortened BEFORE DELETE ON seals BEGIN SELECT RAISE(ABORT, 'seals is append-only'); END;
