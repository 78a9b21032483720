-- The service's own: scheduled runs, incidents and their posts, and a few settled values.

CREATE TABLE runs (
    name TEXT NOT NULL,
    due_at BIGINT NOT NULL,
    claimed_at BIGINT NOT NULL,
    claimed_by TEXT NOT NULL,
    ended_at BIGINT,
    result TEXT,                          -- one line, no personal data
    failed BOOLEAN NOT NULL,
    PRIMARY KEY (name, due_at)
);

CREATE TABLE incidents (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    reference TEXT NOT NULL UNIQUE,       -- INC-2603
    title TEXT NOT NULL,
    state TEXT NOT NULL,                  -- investigating, identified, contained, monitoring, resolved
    opened_by TEXT NOT NULL,
    opened_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    next_update_at BIGINT
);

CREATE TABLE posts (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    incident_id BIGINT NOT NULL REFERENCES incidents (id),
    channel TEXT NOT NULL,                -- the configured place
    nonce TEXT NOT NULL,                  -- the same for every try at the same post
    version BIGINT NOT NULL,             -- of what was last meant to be said
    content_hash TEXT NOT NULL,
    state TEXT NOT NULL,                  -- intended, posted, in_doubt, gone
    external_id TEXT,                     -- the channel's own id
    intended_at BIGINT NOT NULL,
    said_at BIGINT,
    UNIQUE (incident_id, channel)
);

CREATE TABLE settled (
    name TEXT PRIMARY KEY,                -- site_key, epoch
    value TEXT NOT NULL
);
