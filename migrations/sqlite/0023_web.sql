-- Who may enter the page: operators' passwords and second factors, their sessions, and tokens for programs.

CREATE TABLE credentials (
    operator TEXT PRIMARY KEY,            -- folded; the config's [[operator]] list says what they may do
    password TEXT NOT NULL,               -- Argon2id, as a PHC text
    set_at INTEGER NOT NULL,              -- when either was last set
    totp TEXT,                            -- the second factor's secret, base 32: codes are made from it, so it cannot be a hash
    totp_step INTEGER NOT NULL            -- the latest of its codes that was used, in steps of 30 seconds since 1970
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    hash TEXT PRIMARY KEY,                -- SHA-256 of what the browser holds
    operator TEXT NOT NULL,               -- folded; oidc: and a name if an identity provider vouches for them
    roles TEXT,                           -- what it says that they may do, as JSON; none: what the config says
    began_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,             -- when it was last used, to the minute
    ends_at INTEGER NOT NULL              -- used or not
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_operator ON sessions (operator);

CREATE TABLE api_tokens (
    name TEXT PRIMARY KEY,                -- what it is for
    hash TEXT NOT NULL UNIQUE,            -- SHA-256 of what the program holds
    made_by TEXT NOT NULL,                -- operator
    made_at INTEGER NOT NULL,
    used_at INTEGER                       -- when it was last used, to the minute
) STRICT, WITHOUT ROWID;
