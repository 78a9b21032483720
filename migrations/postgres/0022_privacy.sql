-- Privacy: who asked that somebody be erased, and what has to be kept whatever its time is.

CREATE TABLE erasure_requests (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    person_id BIGINT NOT NULL REFERENCES persons (id), -- a pseudonym, once it is done
    reason TEXT NOT NULL,                 -- why, and what shows that the person asked; no names
    asked_by TEXT NOT NULL,               -- operator
    asked_at BIGINT NOT NULL,
    done_by TEXT,                         -- the second operator
    done_at BIGINT                        -- none: it waits for the second operator
);

CREATE UNIQUE INDEX erasure_requests_open ON erasure_requests (person_id) WHERE done_at IS NULL;

CREATE TABLE legal_holds (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    person_id BIGINT REFERENCES persons (id), -- whose data is kept; none: everybody's
    reason TEXT NOT NULL,                 -- which proceedings or order; no names
    owner TEXT NOT NULL,                  -- operator
    noted_at BIGINT NOT NULL,
    review_at BIGINT NOT NULL,            -- when somebody has to look whether it is still needed
    ended_at BIGINT,                      -- none: in force
    ended_by TEXT
);

CREATE INDEX legal_holds_open ON legal_holds (person_id) WHERE ended_at IS NULL;
