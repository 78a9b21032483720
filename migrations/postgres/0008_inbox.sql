-- What came back to the bounce address, one row a mail: it counts once, however often it is read.

CREATE TABLE returned_mails (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,          -- of a report: delivery, Message-ID and what it says; of all else: its bytes
    read_at BIGINT NOT NULL,
    kind TEXT NOT NULL,                   -- failed, unparsed, delayed, progress, out_of_office, auto_reply, challenge, reply, spam, forged, other
    delivery_id BIGINT REFERENCES deliveries (id) -- the letter that it is about
);
CREATE INDEX returned_mails_read ON returned_mails (read_at);
