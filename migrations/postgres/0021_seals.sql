-- Seals: a chain of hashes over all that is only ever added to; and what of it was erased, so that the chain still holds.

CREATE TABLE seals (
    number BIGINT PRIMARY KEY,            -- its place in the chain: 1, 2, 3 …
    made_at BIGINT NOT NULL,
    table_name TEXT NOT NULL,             -- whose rows it covers
    after_id BIGINT NOT NULL,             -- those above this number …
    upto_id BIGINT NOT NULL,              -- … and not above this one
    row_count BIGINT NOT NULL,
    rows_hash TEXT NOT NULL,              -- SHA-256 over the hashes of the rows
    previous TEXT NOT NULL,               -- hash of the seal before it
    hash TEXT NOT NULL,                   -- its own
    signature TEXT,                       -- Ed25519 over the hash; none: no key was configured
    leaves TEXT NOT NULL,                 -- base64: a short mark of each row, to say which one was changed
    salts TEXT NOT NULL                   -- base64: one for each text that can be erased; zeros once it was
);

CREATE INDEX seals_of_table ON seals (table_name, upto_id);
CREATE INDEX ledger_walks ON ledger (id) WHERE act = 'ledger.verified';

CREATE TABLE erasures (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    table_name TEXT NOT NULL,             -- where the erased text stood
    row_id BIGINT NOT NULL,               -- in which row
    commitment TEXT NOT NULL,             -- the salted hash that was sealed of it; nothing leads back to the text
    left_hash TEXT NOT NULL,              -- SHA-256 of what stands there now
    erased_at BIGINT NOT NULL,
    UNIQUE (table_name, row_id)
);

-- Versions of statements get a number in the order in which they were written.
CREATE TABLE statement_versions_0021 (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    statement_id BIGINT NOT NULL REFERENCES statements (id),
    version BIGINT NOT NULL,
    body TEXT NOT NULL,                   -- as it was typed
    written_by TEXT NOT NULL,             -- operator, or bell
    written_at BIGINT NOT NULL,
    UNIQUE (statement_id, version)
);
INSERT INTO statement_versions_0021 (statement_id, version, body, written_by, written_at)
SELECT statement_id, version, body, written_by, written_at FROM statement_versions ORDER BY written_at, statement_id, version;
DROP TABLE statement_versions;
ALTER TABLE statement_versions_0021 RENAME TO statement_versions;

-- What is only ever added to refuses all else; a text about somebody may be erased, once that is written down.
CREATE FUNCTION is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_ARGV[0];
END
$$;
CREATE FUNCTION is_erased_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM erasures e WHERE e.table_name = TG_TABLE_NAME AND e.row_id = OLD.id) THEN
        RAISE EXCEPTION '% is append-only', TG_ARGV[0];
    END IF;
    RETURN NEW;
END
$$;
DROP TRIGGER ledger_is_never_changed ON ledger;
CREATE TRIGGER ledger_never_changed BEFORE UPDATE OF id, at, actor, act, case_id, thing, effective_at OR DELETE OR TRUNCATE ON ledger FOR EACH STATEMENT EXECUTE FUNCTION is_append_only('the ledger');
CREATE TRIGGER ledger_only_erased BEFORE UPDATE OF detail ON ledger FOR EACH ROW EXECUTE FUNCTION is_erased_only('the ledger');
CREATE TRIGGER templates_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON templates FOR EACH STATEMENT EXECUTE FUNCTION is_append_only('templates');
CREATE TRIGGER bounces_never_changed BEFORE UPDATE OF id, delivery_id, received_at, action, status OR DELETE OR TRUNCATE ON bounces FOR EACH STATEMENT EXECUTE FUNCTION is_append_only('bounces');
CREATE TRIGGER bounces_only_erased BEFORE UPDATE OF reply ON bounces FOR EACH ROW EXECUTE FUNCTION is_erased_only('bounces');
CREATE TRIGGER replies_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON replies FOR EACH STATEMENT EXECUTE FUNCTION is_append_only('replies');
CREATE TRIGGER containments_never_changed BEFORE UPDATE OF id, account_id, act, effective_at, done_by, noted_at, noted_by OR DELETE OR TRUNCATE ON containments FOR EACH STATEMENT EXECUTE FUNCTION is_append_only('containments');
CREATE TRIGGER containments_only_erased BEFORE UPDATE OF how ON containments FOR EACH ROW EXECUTE FUNCTION is_erased_only('containments');
CREATE TRIGGER statement_versions_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON statement_versions FOR EACH STATEMENT EXECUTE FUNCTION is_append_only('statement_versions');
CREATE TRIGGER awareness_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON awareness FOR EACH STATEMENT EXECUTE FUNCTION is_append_only('awareness');
CREATE TRIGGER duty_decisions_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON duty_decisions FOR EACH STATEMENT EXECUTE FUNCTION is_append_only('duty_decisions');
CREATE TRIGGER erasures_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON erasures FOR EACH STATEMENT EXECUTE FUNCTION is_append_only('erasures');
CREATE TRIGGER seals_never_changed BEFORE UPDATE OF number, made_at, table_name, after_id, upto_id, row_count, rows_hash, previous, hash, signature, leaves OR DELETE OR TRUNCATE ON seals
    FOR EACH STATEMENT EXECUTE FUNCTION is_append_only('seals');
DROP FUNCTION ledger_is_append_only();
