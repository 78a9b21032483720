-- Names that audits use and the directory does not know: whose they are, by an operator's word, for later audits as well.

CREATE TABLE bindings (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    realm TEXT NOT NULL,
    key_kind TEXT NOT NULL,               -- object_id, sid, upn, netbios_sam, dns_sam, sam, email
    key TEXT NOT NULL,                    -- folded
    account_id BIGINT NOT NULL REFERENCES accounts (id),
    bound_at BIGINT NOT NULL,
    bound_by TEXT NOT NULL,               -- operator
    UNIQUE (realm, key_kind, key)
);
CREATE INDEX findings_unmatched ON findings (id) WHERE account_id IS NULL;
