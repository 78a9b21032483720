-- Other ways than the own mailbox, and what has to be out before the first notice of a campaign.

ALTER TABLE persons ADD COLUMN mobile TEXT;       -- E.164: where a text goes
ALTER TABLE persons ADD COLUMN room TEXT;         -- where the internal post leaves a letter
ALTER TABLE persons ADD COLUMN building TEXT;     -- which round of the internal post that is
ALTER TABLE cases ADD COLUMN contain_override_at BIGINT; -- the incident lead has its person told before containment

-- From here on deliveries.channel may also be sms or letter, its recipient a number or a room, and its state handed_out:
-- printed and on its way in the internal post.
CREATE INDEX deliveries_other_ways ON deliveries (channel, state, priority, due_at) WHERE channel IN ('sms', 'letter');
CREATE INDEX deliveries_in_vain ON deliveries (thread_id) WHERE state IN ('refused', 'bounced', 'expired', 'dropped') AND kind IN ('notice.weak', 'notice.attacked', 'notice.breached', 'notice.compromised');

CREATE TABLE announcements (
    campaign_id BIGINT NOT NULL REFERENCES campaigns (id),
    place TEXT NOT NULL,                  -- intranet, chat; skipped: an operator answers for going without
    posted_at BIGINT NOT NULL,           -- when it was out
    noted_at BIGINT NOT NULL,            -- when that was written down
    noted_by TEXT NOT NULL,               -- operator
    PRIMARY KEY (campaign_id, place)
);

CREATE TABLE ways_left_out (
    campaign_id BIGINT NOT NULL REFERENCES campaigns (id),
    way TEXT NOT NULL,                    -- mail, mail.2, sms, letter: nothing goes by it any more
    left_out_at BIGINT NOT NULL,
    PRIMARY KEY (campaign_id, way)
);

CREATE TABLE text_fates (
    delivery_id BIGINT PRIMARY KEY REFERENCES deliveries (id),
    fate TEXT NOT NULL,                   -- underway, arrived, failed: what the gateway says of a text that it took
    looked_at BIGINT NOT NULL            -- when it was asked last
);
