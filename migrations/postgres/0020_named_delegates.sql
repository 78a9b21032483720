-- Whom the staff directory names as the one who reads a person's mailbox.

ALTER TABLE persons ADD COLUMN delegate_mail TEXT; -- folded; becomes a row of delegates when a listing ends
CREATE INDEX persons_delegate ON persons (id) WHERE delegate_mail IS NOT NULL;
