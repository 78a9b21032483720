-- In which way a case was closed, and who looks after one whose person is not reached.

ALTER TABLE cases ADD COLUMN closed_reason TEXT;          -- user_changed_password, account_deleted …
ALTER TABLE cases ADD COLUMN reach_by TEXT;               -- the operator who sees to it that the person is reached
ALTER TABLE cases ADD COLUMN snoozed_until BIGINT;       -- one operator lets it rest until then
CREATE INDEX cases_not_reached ON cases (id) WHERE not_reached IS NOT NULL AND state <> 'closed';
CREATE INDEX cases_reset ON cases (id) WHERE standing = 'reset' AND state = 'closed';

CREATE TABLE replies (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    case_id BIGINT NOT NULL REFERENCES cases (id),
    said TEXT NOT NULL,                   -- done, not_me, need_help
    by_way TEXT NOT NULL,                 -- phone, mail, chat, in_person, letter
    said_at BIGINT NOT NULL,
    noted_at BIGINT NOT NULL,
    noted_by TEXT NOT NULL,
    grade TEXT NOT NULL                   -- C a record that people keep, D the person's own word: neither closes a case
);
CREATE INDEX replies_case ON replies (case_id, id);
