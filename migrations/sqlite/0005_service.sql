-- The service's own: scheduled runs, incidents and their posts, and a few settled values.

CREATE TABLE runs (
    name TEXT NOT NULL,
    due_at INTEGER NOT NULL,
    claimed_at INTEGER NOT NULL,
    claimed_by TEXT NOT NULL,
    ended_at INTEGER,
    result TEXT,                          -- one line, no personal data
    failed INTEGER NOT NULL,
    PRIMARY KEY (name, due_at)
) STRICT, WITHOUT ROWID;

CREATE TABLE incidents (
    id INTEGER PRIMARY KEY,
    reference TEXT NOT NULL UNIQUE,       -- INC-2603
    title TEXT NOT NULL,
    state TEXT NOT NULL,                  -- investigating, identified, contained, monitoring, resolved
    opened_by TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    next_update_at INTEGER
) STRICT;

CREATE TABLE posts (
    id INTEGER PRIMARY KEY,
    incident_id INTEGER NOT NULL REFERENCES incidents (id),
    channel TEXT NOT NULL,                -- the configured place
    nonce TEXT NOT NULL,                  -- the same for every try at the same post
    version INTEGER NOT NULL,             -- of what was last meant to be said
    content_hash TEXT NOT NULL,
    state TEXT NOT NULL,                  -- intended, posted, in_doubt, gone
    external_id TEXT,                     -- the channel's own id
    intended_at INTEGER NOT NULL,
    said_at INTEGER,
    UNIQUE (incident_id, channel)
) STRICT;

CREATE TABLE settled (
    name TEXT PRIMARY KEY,                -- site_key, epoch
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
