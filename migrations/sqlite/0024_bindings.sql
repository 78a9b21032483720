-- Names that audits use and the directory does not know: whose they are, by an operator's word, for later audits as well.

CREATE TABLE bindings (
    id INTEGER PRIMARY KEY,
    realm TEXT NOT NULL,
    key_kind TEXT NOT NULL,               -- object_id, sid, upn, netbios_sam, dns_sam, sam, email
    key TEXT NOT NULL,                    -- folded
    account_id INTEGER NOT NULL REFERENCES accounts (id),
    bound_at INTEGER NOT NULL,
    bound_by TEXT NOT NULL,               -- operator
    UNIQUE (realm, key_kind, key)
) STRICT;
CREATE INDEX findings_unmatched ON findings (id) WHERE account_id IS NULL;
