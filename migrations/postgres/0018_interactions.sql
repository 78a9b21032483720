-- What people asked for in a chat, so that it is done once by one of us. Rows are dropped after a day.

CREATE TABLE interactions (
    id TEXT PRIMARY KEY,                  -- the chat's own
    claimed_at BIGINT NOT NULL,
    claimed_by TEXT NOT NULL              -- the instance that does it
);
