-- Where each source was read to, so that the next reading need only ask for what changed since.

CREATE TABLE cursors (
    name TEXT PRIMARY KEY,                -- evidence:NAME, as the config names the source
    settings TEXT NOT NULL,               -- what it was read with; with other settings the position means nothing
    position TEXT,                        -- in the source's own words; none: it remembers nothing
    swept_at BIGINT,                      -- when all of it was last read, not only what changed
    read_at BIGINT NOT NULL               -- when it was last read
);
