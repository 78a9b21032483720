-- Who shut whom out, when, on what word, and who let them in again: only ever added to. And whose mailbox others read.

CREATE TABLE containments (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id BIGINT NOT NULL REFERENCES accounts (id),
    act TEXT NOT NULL,                    -- sign_in_blocked, sign_in_restored, sessions_revoked, remote_cut, remote_restored
    effective_at BIGINT NOT NULL,           -- since when it holds, as whoever did it says
    done_by TEXT NOT NULL,                -- team or system that did it
    how TEXT NOT NULL,                    -- on what proof: a ticket, a rule
    noted_at BIGINT NOT NULL,
    noted_by TEXT NOT NULL,               -- operator
    UNIQUE (account_id, act, effective_at)
);

CREATE TABLE delegates (
    person_id BIGINT PRIMARY KEY REFERENCES persons (id), -- whose own mailbox others read
    delegate_id BIGINT REFERENCES persons (id), -- who is told that there is a task, and not why; none: nobody
    noted_at BIGINT NOT NULL,
    noted_by TEXT NOT NULL                -- operator
);
