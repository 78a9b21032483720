-- What stands in the way of letters: a relay that refuses us or is away, a text that was refused.

CREATE TABLE holds (
    id INTEGER PRIMARY KEY,
    relay TEXT,                           -- the relay that refuses us; none if a text is held
    template_id INTEGER REFERENCES templates (id), -- the text that was refused; none if a relay is held
    settings TEXT,                        -- hash of the relay's settings then: others release it
    reason TEXT NOT NULL,                 -- the relay's words, addresses masked
    held_at INTEGER NOT NULL,
    released_at INTEGER,                   -- none: in force
    released_by TEXT,
    release_reason TEXT
) STRICT;
CREATE UNIQUE INDEX holds_relay ON holds (relay) WHERE released_at IS NULL AND relay IS NOT NULL;
CREATE UNIQUE INDEX holds_template ON holds (template_id) WHERE released_at IS NULL AND template_id IS NOT NULL;

CREATE TABLE relays (
    name TEXT PRIMARY KEY,
    standing TEXT NOT NULL,               -- how it is treated now: pauses, connections, refusals in a row; as JSON
    changed_at INTEGER NOT NULL
) STRICT;

-- Found by the delivery's other attempts just as fast, and one index less for each letter to keep.
DROP INDEX attempts_in_flight;

-- All letters to one person: did X get it?
CREATE INDEX threads_person ON threads (person_id);
