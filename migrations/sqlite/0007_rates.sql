-- How fast letters leave: what was sent, minute by minute, so that limits outlast a restart and instances share them.

CREATE TABLE sent_minutes (
    key TEXT NOT NULL,                    -- relay, wave, domain:parl.example
    minute INTEGER NOT NULL,              -- since 1970
    letters INTEGER NOT NULL,             -- of this key, in this minute
    free_at INTEGER NOT NULL,             -- when the even pace would be free again, as of the last of them
    PRIMARY KEY (minute, key)
) STRICT, WITHOUT ROWID;

-- What is queued already gets its place among what is to come: the class, then the deadline in minutes.
UPDATE deliveries SET priority = (CASE kind
        WHEN 'notice.compromised' THEN 0 WHEN 'notice.breached' THEN 30 WHEN 'notice.attacked' THEN 31 WHEN 'notice.weak' THEN 32
        WHEN 'reminder.final' THEN 40 WHEN 'reminder.1' THEN 50 WHEN 'reminder.2' THEN 50 ELSE 60 END) * 1099511627776
    + COALESCE((SELECT t.deadline_at / 60000000 FROM threads t WHERE t.id = deliveries.thread_id AND deliveries.kind <> 'notice.done'), 1099511627775)
WHERE state IN ('queued', 'leased', 'paused');
