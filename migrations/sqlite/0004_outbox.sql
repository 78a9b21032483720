-- Campaigns, the threads they open with people, and the outbox: deliveries and attempts.

CREATE TABLE campaigns (
    id INTEGER PRIMARY KEY,
    reference TEXT NOT NULL UNIQUE,       -- DB-2603: what a notice's reference starts with
    author TEXT NOT NULL,                 -- who cannot approve it
    drafted_at INTEGER NOT NULL,
    content_hash TEXT NOT NULL,           -- of all recipients and texts
    people INTEGER NOT NULL,
    state TEXT NOT NULL,                  -- draft, approved, running, paused, stopped, void
    approved_by TEXT,
    approved_at INTEGER,
    void_reason TEXT
) STRICT;

CREATE TABLE threads (
    id INTEGER PRIMARY KEY,
    campaign_id INTEGER NOT NULL REFERENCES campaigns (id),
    person_id INTEGER NOT NULL REFERENCES persons (id),
    reference TEXT NOT NULL UNIQUE,       -- DB-2603-K7M4
    kind TEXT NOT NULL,                   -- of the first notice
    category TEXT NOT NULL,               -- the severest of its cases
    content_hash TEXT NOT NULL,           -- of recipient and text, as approved
    ladder TEXT NOT NULL,                 -- frozen, as JSON
    zone TEXT NOT NULL,                   -- the person's IANA zone, frozen with it
    state TEXT NOT NULL,                  -- draft, waiting, running, ended
    first_at INTEGER,                     -- when the first notice was queued to go
    deadline_at INTEGER,
    timetable TEXT,                       -- the rungs' moments, as JSON
    climbed TEXT NOT NULL,                -- the rungs that are behind us, as JSON
    message_ids TEXT NOT NULL,            -- of the thread's letters, in their order
    next_at INTEGER,                      -- when the next rung is due
    UNIQUE (campaign_id, person_id)
) STRICT;
CREATE INDEX threads_due ON threads (next_at) WHERE state = 'running' AND next_at IS NOT NULL;
CREATE INDEX threads_of_campaign ON threads (campaign_id, state, id);

CREATE TABLE templates (
    id INTEGER PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    locale TEXT NOT NULL,
    source TEXT NOT NULL,                 -- subject, text, HTML and the organisation's constants, as JSON
    kept_at INTEGER NOT NULL
) STRICT;

CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY,
    thread_id INTEGER NOT NULL REFERENCES threads (id),
    kind TEXT NOT NULL,                   -- notice.weak … notice.done
    seq INTEGER NOT NULL,                 -- 1, unless a kind is said again in a thread
    channel TEXT NOT NULL,                -- mail, mail.2
    recipient TEXT NOT NULL,
    template_id INTEGER NOT NULL REFERENCES templates (id),
    facts TEXT NOT NULL,                  -- what the letter says of its reader, as JSON
    letter_hash TEXT NOT NULL,            -- of the rendered bytes: every attempt sends the same
    queued_at INTEGER NOT NULL,           -- the letter's Date
    priority INTEGER NOT NULL,            -- who is told first: category, then kind
    due_at INTEGER NOT NULL,
    state TEXT NOT NULL,                  -- queued, leased, accepted, refused, bounced, expired, dropped, paused, stopped
    attempts INTEGER NOT NULL,
    first_attempt_at INTEGER,
    lease_until INTEGER,
    lease_by TEXT,
    possible_duplicate INTEGER NOT NULL,  -- was in doubt once: stays so for ever
    ended_at INTEGER,
    UNIQUE (thread_id, kind, seq, channel)
) STRICT;
CREATE INDEX deliveries_due ON deliveries (priority, due_at) WHERE state = 'queued';
CREATE INDEX deliveries_leased ON deliveries (lease_until) WHERE state = 'leased';

CREATE TABLE attempts (
    id INTEGER PRIMARY KEY,
    delivery_id INTEGER NOT NULL REFERENCES deliveries (id),
    started_at INTEGER NOT NULL,          -- committed before the first byte goes out
    ended_at INTEGER,                     -- none: in flight, or in doubt after a crash
    outcome TEXT,
    stage TEXT,
    code INTEGER,                         -- the relay's reply
    reply TEXT                            -- addresses masked
) STRICT;
CREATE INDEX attempts_delivery ON attempts (delivery_id);
CREATE INDEX attempts_in_flight ON attempts (delivery_id) WHERE ended_at IS NULL;

CREATE TABLE bounces (
    id INTEGER PRIMARY KEY,
    delivery_id INTEGER NOT NULL REFERENCES deliveries (id),
    received_at INTEGER NOT NULL,
    action TEXT NOT NULL,                 -- failed, delayed, unparsed
    status TEXT,                          -- enhanced code
    reply TEXT
) STRICT;
CREATE INDEX bounces_delivery ON bounces (delivery_id);
