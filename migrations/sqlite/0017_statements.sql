-- Statements: drafted, approved by a second person, published, never rewritten. And what an incident owes to others.

CREATE TABLE statements (
    id INTEGER PRIMARY KEY,               -- the number that readers see
    incident_id INTEGER NOT NULL REFERENCES incidents (id), -- what it is about
    kind TEXT NOT NULL,                   -- statement, correction, withdrawal
    about_id INTEGER REFERENCES statements (id), -- the published one that it puts right or takes back
    audience TEXT NOT NULL,               -- staff, press, partners
    channels TEXT NOT NULL,               -- where it goes: a JSON list of names
    body TEXT NOT NULL,                   -- as it was typed, with variables
    version INTEGER NOT NULL,             -- counts its texts, from 1
    state TEXT NOT NULL,                  -- draft, approved, scheduled, published, corrected, withdrawn, cancelled
    author TEXT NOT NULL,                 -- operator, or bell
    drafted_at INTEGER NOT NULL,
    touched_at INTEGER NOT NULL,          -- when somebody last did something about it
    sent_back TEXT,                       -- why, if it was and was not edited since
    approved_by TEXT,                     -- the approval that holds; none: there is none
    approved_at INTEGER,
    approved_hash TEXT,                   -- of text, figures, audience and channels
    approved_text TEXT,                   -- frozen, as readers see it
    approved_words TEXT,                  -- the instant as the text names it
    approved_figures TEXT,                -- frozen: a JSON list
    figures_as_of INTEGER,
    overridden_by TEXT,                   -- who answers for what the guard found
    override_reason TEXT,
    overridden_at INTEGER,
    publish_at INTEGER,                   -- when it is published by itself
    published_at INTEGER,
    published_by TEXT,
    marked_by INTEGER REFERENCES statements (id) -- the later one that put it right or took it back
) STRICT;
CREATE INDEX statements_incident ON statements (incident_id);
CREATE INDEX statements_due ON statements (publish_at) WHERE state = 'scheduled';

CREATE TABLE statement_versions (
    statement_id INTEGER NOT NULL REFERENCES statements (id),
    version INTEGER NOT NULL,
    body TEXT NOT NULL,                   -- as it was typed
    written_by TEXT NOT NULL,             -- operator, or bell
    written_at INTEGER NOT NULL,
    PRIMARY KEY (statement_id, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE statement_posts (
    id INTEGER PRIMARY KEY,
    statement_id INTEGER NOT NULL REFERENCES statements (id),
    channel TEXT NOT NULL,                -- the configured place
    state TEXT NOT NULL,                  -- intended, posted, gone
    external_id TEXT,                     -- the channel's own id
    said_at INTEGER,                      -- when it first took it
    marked_by INTEGER REFERENCES statements (id), -- the mark that the post bears already
    UNIQUE (statement_id, channel)
) STRICT;

CREATE TABLE person_names (
    key TEXT NOT NULL,                    -- two words of a name, folded, in order; or ~ and one word
    person_id INTEGER NOT NULL REFERENCES persons (id),
    PRIMARY KEY (key, person_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX person_names_person ON person_names (person_id);

CREATE TABLE named_persons (
    person_id INTEGER PRIMARY KEY REFERENCES persons (id),
    display_name TEXT NOT NULL            -- the name that the keys were made of
) STRICT;

CREATE TABLE partners (
    id INTEGER PRIMARY KEY,
    incident_id INTEGER NOT NULL REFERENCES incidents (id),
    name TEXT NOT NULL,                   -- NCSC, NCA, ICO, or another
    contact TEXT NOT NULL,                -- whom we speak to there: a role or a team
    reference TEXT,                       -- their number for it
    wording TEXT,                         -- how we may name them
    version INTEGER NOT NULL,             -- counts the wordings
    cleared_at INTEGER,                   -- when they agreed to exactly this wording; none: they have not
    cleared_with TEXT,                    -- who agreed, over there
    noted_at INTEGER NOT NULL,
    noted_by TEXT NOT NULL                -- operator
) STRICT;
CREATE INDEX partners_incident ON partners (incident_id);

CREATE TABLE awareness (
    id INTEGER PRIMARY KEY,
    incident_id INTEGER NOT NULL REFERENCES incidents (id),
    what TEXT NOT NULL,                   -- what started clocks: aware, high_risk, major, material
    since INTEGER NOT NULL,               -- since when it is true; the earliest one counts
    noted_at INTEGER NOT NULL,
    noted_by TEXT NOT NULL                -- operator
) STRICT;
CREATE INDEX awareness_incident ON awareness (incident_id);

CREATE TABLE duty_decisions (
    id INTEGER PRIMARY KEY,
    incident_id INTEGER NOT NULL REFERENCES incidents (id),
    duty TEXT NOT NULL,                   -- uk_gdpr, eu_gdpr, …
    verdict TEXT NOT NULL,                -- reported, not_reported
    effective_at INTEGER NOT NULL,        -- when it was reported, or decided
    reference TEXT,                       -- the authority's number for it
    reason TEXT,                          -- why it is not reported, or was late
    advice TEXT,                          -- what the authority, or the data protection officer, advised
    deputy TEXT,                          -- the second person of a decision not to report
    noted_at INTEGER NOT NULL,
    noted_by TEXT NOT NULL                -- operator
) STRICT;
CREATE INDEX duty_decisions_incident ON duty_decisions (incident_id);

CREATE TABLE nudges (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,             -- what it is about, so that nobody is told twice
    to_whom TEXT NOT NULL,                -- operator:ann, or role:communications
    text TEXT NOT NULL,
    due_at INTEGER NOT NULL,
    carried_at INTEGER                    -- when a channel took it; none: not yet
) STRICT;

CREATE INDEX ledger_thing ON ledger (thing) WHERE thing IS NOT NULL;
