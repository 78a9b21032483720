-- More than one message an incident on a channel: the status post, the lines of its timeline, published statements.

CREATE TABLE posts_0018 (
    id INTEGER PRIMARY KEY,
    incident_id INTEGER NOT NULL REFERENCES incidents (id),
    channel TEXT NOT NULL,                -- its name in the config; "status" is the one of [discord]
    what TEXT NOT NULL,                   -- status, line:LEDGER, kept:LEDGER, statement:ID
    nonce TEXT NOT NULL,                  -- the same for every try at the same post
    version INTEGER NOT NULL,             -- of what was last meant to be said
    content_hash TEXT NOT NULL,           -- of that content
    state TEXT NOT NULL,                  -- intended, posted, in_doubt, asked, waiting, refused, gone
    trouble TEXT,                         -- token, permission, access, channel, message: what somebody has to put right
    external_id TEXT,                     -- the channel's own id
    thread_id TEXT,                       -- the channel's own id of the thread below it
    intended_at INTEGER NOT NULL,         -- when this version was written down
    tried_at INTEGER NOT NULL,            -- when the first call with this nonce was
    due_at INTEGER,                       -- until when it rests
    said_at INTEGER,                      -- when the channel last took it
    UNIQUE (incident_id, channel, what)
) STRICT;
INSERT INTO posts_0018 (incident_id, channel, what, nonce, version, content_hash, state, external_id, intended_at, tried_at, said_at)
SELECT incident_id, channel, 'status', nonce, version, content_hash, state, external_id, intended_at, intended_at, said_at FROM posts ORDER BY id;
DROP TABLE posts;
ALTER TABLE posts_0018 RENAME TO posts;
CREATE INDEX ledger_incidents ON ledger (thing, id) WHERE case_id IS NULL AND thing IS NOT NULL;
