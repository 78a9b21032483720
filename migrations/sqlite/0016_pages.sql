-- A campaign's conversations are read a page at a time, by number. With the state before the number each page had all of
-- them sorted first: a million cost hours in place of minutes.
DROP INDEX threads_of_campaign;
CREATE INDEX threads_of_campaign ON threads (campaign_id, id);

-- Who was told by hand, with no conversation under way, is found by the deadline.
CREATE INDEX cases_notified ON cases (deadline_at) WHERE state = 'notified';
