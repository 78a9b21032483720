-- The last two rungs: managers who are told that a task is overdue, delegates that there is one, and what the identity provider was asked for.

CREATE TABLE hand_overs (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    case_id BIGINT NOT NULL UNIQUE REFERENCES cases (id), -- an account is handed over once a case
    demand TEXT NOT NULL,                 -- force_change, block_sign_in
    kind TEXT NOT NULL,                   -- file, webhook, ldap: how it is asked for
    key TEXT NOT NULL UNIQUE,             -- the same for every try: what the other side knows it by
    asked_at BIGINT NOT NULL,               -- committed before the first effect
    tries BIGINT NOT NULL,                  -- begun
    state TEXT NOT NULL,                  -- asked: under way; again; done; refused and stopped: a human being's work
    lease_until BIGINT,                     -- until when whoever began it may still be at it
    next_at BIGINT,                         -- when it is tried again
    done_at BIGINT,                         -- when it was proven, or given up
    outcome TEXT,                         -- a word: written, accepted, forced, changed_since, unreachable …
    proof TEXT                            -- hash of the line, status and id of the answer, the value read back
);
CREATE INDEX hand_overs_leased ON hand_overs (lease_until) WHERE state = 'asked';

CREATE TABLE rehearsals (
    kind TEXT PRIMARY KEY,                -- of hand-over: ldap
    set_hash TEXT NOT NULL,               -- of the cases and demands that were looked at without writing
    rehearsed_at BIGINT NOT NULL,
    rehearsed_by TEXT NOT NULL            -- operator
);

CREATE TABLE escalations (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    case_id BIGINT NOT NULL REFERENCES cases (id),
    reason TEXT NOT NULL,                 -- overdue; locked: cannot sign in, needs time; delegate: there is a task
    asked_at BIGINT NOT NULL,               -- when the rung was climbed
    manager_id BIGINT REFERENCES persons (id), -- manager or delegate who was written to; none: nobody yet
    delivery_id BIGINT REFERENCES deliveries (id), -- the letter that names the person; none: not written yet
    ended_at BIGINT,                        -- when there was nothing left to do
    outcome TEXT,                         -- told, over, by_hand
    UNIQUE (case_id, reason)              -- nobody hears of a case twice
);
CREATE INDEX escalations_open ON escalations (id) WHERE ended_at IS NULL;
CREATE INDEX escalations_delivery ON escalations (delivery_id) WHERE delivery_id IS NOT NULL;
CREATE INDEX escalations_manager ON escalations (manager_id) WHERE manager_id IS NOT NULL;
