-- What is wrong with the service itself, so that restarts and several instances do not tell an operator twice.

CREATE TABLE alarms (
    name TEXT PRIMARY KEY,                -- database, relay, disk, inbox, schedule.NAME
    raised_at INTEGER NOT NULL,           -- since when it is wrong, or was the last time
    told_at INTEGER,                      -- when an operator was last told that it is wrong
    cleared_at INTEGER,                   -- none: it is wrong now
    text TEXT NOT NULL                    -- what is wrong and what to do; no personal data
) STRICT, WITHOUT ROWID;
