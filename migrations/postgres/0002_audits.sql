-- Audits and what they found. No column can hold a password, a hash of one, or a raw line.

CREATE TABLE audits (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sha256 TEXT NOT NULL,                 -- of the file's bytes
    source TEXT NOT NULL,                 -- name of the configured source
    realm TEXT NOT NULL,
    format TEXT NOT NULL,                 -- mapped_csv, hibp_domain, hashcat_show, john_show
    file_name TEXT NOT NULL,              -- without its folder
    size_bytes BIGINT NOT NULL,
    as_of BIGINT NOT NULL,               -- when the data were taken
    as_of_assumed BOOLEAN NOT NULL,       -- nobody said so: the file's own time stands in
    imported_at BIGINT NOT NULL,
    imported_by TEXT NOT NULL,
    records BIGINT NOT NULL,             -- rows read
    findings BIGINT NOT NULL,            -- new ones
    sighted BIGINT NOT NULL,             -- known ones, seen again
    unmatched BIGINT NOT NULL,           -- that name nobody
    rejected BIGINT NOT NULL,
    UNIQUE (sha256, source)
);

CREATE TABLE findings (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    dedupe_key TEXT NOT NULL UNIQUE,
    audit_id BIGINT NOT NULL REFERENCES audits (id), -- the first that had it
    line BIGINT NOT NULL,
    account_id BIGINT REFERENCES accounts (id),      -- none: the key names nobody, or more than one
    key_kind TEXT NOT NULL,
    key_given TEXT NOT NULL,              -- as the source wrote it
    unmatched TEXT,                       -- why there is no account: nobody, ambiguous
    weakness TEXT NOT NULL,               -- category/reason
    detail TEXT,                          -- breach, site or detection
    severity TEXT NOT NULL,
    bad_as_of BIGINT NOT NULL,           -- the password was the bad one at this moment, of any sighting the latest
    bad_as_of_assumed BOOLEAN NOT NULL,
    discovered_at BIGINT,                -- when the source learnt of it
    baseline TEXT,                        -- the directory's own mark when the data were taken, as JSON
    found_at BIGINT NOT NULL,            -- imported
    case_id BIGINT                       -- the case it opened or joined
);
CREATE INDEX findings_account ON findings (account_id) WHERE account_id IS NOT NULL;
CREATE INDEX findings_audit ON findings (audit_id);

CREATE TABLE sightings (
    finding_id BIGINT NOT NULL REFERENCES findings (id),
    audit_id BIGINT NOT NULL REFERENCES audits (id),
    bad_as_of BIGINT NOT NULL,
    PRIMARY KEY (finding_id, audit_id)
);

CREATE TABLE rejects (
    audit_id BIGINT NOT NULL REFERENCES audits (id),
    line BIGINT NOT NULL,
    reason TEXT NOT NULL                  -- a word; never the line
);
CREATE INDEX rejects_audit ON rejects (audit_id);
