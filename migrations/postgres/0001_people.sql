-- People, their accounts and mailboxes: three things, many-to-many. Moments are microseconds since 1970, UTC.

CREATE TABLE persons (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,             -- realm and immutable id of the person's own account
    display_name TEXT NOT NULL,
    department TEXT NOT NULL,
    language TEXT,                        -- BCP 47; none: the organisation's
    time_zone TEXT,                       -- IANA; none: the organisation's
    second_address TEXT,                  -- where to write when the mailbox is the victim
    manager_mail TEXT,                    -- folded; who that is, is looked up after each listing
    manager_id BIGINT REFERENCES persons (id),
    joined_at BIGINT NOT NULL,           -- first seen in the directory
    left_at BIGINT                       -- first missing from a complete listing
);
CREATE INDEX persons_manager ON persons (manager_id) WHERE manager_id IS NOT NULL;

CREATE TABLE accounts (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    realm TEXT NOT NULL,                  -- the password store: ad:PARL
    object_id TEXT NOT NULL,              -- the directory's immutable id
    sam TEXT,                             -- login without its domain
    display_name TEXT NOT NULL,
    department TEXT NOT NULL,
    kind TEXT NOT NULL,                   -- person, service, shared, admin, builtin, machine, unknown
    enabled BOOLEAN NOT NULL,             -- one can sign in
    holder_id BIGINT REFERENCES persons (id), -- whose own account it is
    owner_mail TEXT,                      -- folded; who that is, is looked up after each listing
    owner_id BIGINT REFERENCES persons (id),  -- who answers for an account that is nobody's own
    digest TEXT NOT NULL,                 -- of the directory's line, to see changes by
    joined_at BIGINT NOT NULL,
    left_at BIGINT,
    synced_at BIGINT NOT NULL,           -- the last listing that had it
    UNIQUE (realm, object_id)
);
CREATE INDEX accounts_holder ON accounts (holder_id) WHERE holder_id IS NOT NULL;
CREATE INDEX accounts_owner ON accounts (owner_id) WHERE owner_id IS NOT NULL;

CREATE TABLE account_keys (
    kind TEXT NOT NULL,                   -- object_id, sid, upn, sam, email
    key TEXT NOT NULL,                    -- folded
    account_id BIGINT NOT NULL REFERENCES accounts (id),
    PRIMARY KEY (kind, key, account_id)
);
CREATE INDEX account_keys_account ON account_keys (account_id);

CREATE TABLE mailboxes (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    address TEXT NOT NULL,                -- primary address, as written
    folded TEXT NOT NULL UNIQUE,          -- as compared
    owner_id BIGINT REFERENCES persons (id) -- the one who answers for it
);

CREATE TABLE account_mailboxes (
    account_id BIGINT NOT NULL REFERENCES accounts (id),
    mailbox_id BIGINT NOT NULL REFERENCES mailboxes (id),
    PRIMARY KEY (account_id, mailbox_id)
);
CREATE INDEX account_mailboxes_mailbox ON account_mailboxes (mailbox_id);

CREATE TABLE aliases (
    folded TEXT PRIMARY KEY,              -- as compared
    address TEXT NOT NULL,                -- as written
    mailbox_id BIGINT NOT NULL REFERENCES mailboxes (id)
);
CREATE INDEX aliases_mailbox ON aliases (mailbox_id);
