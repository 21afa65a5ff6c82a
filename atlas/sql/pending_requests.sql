-- How many requests have events that are on their way.
SELECT count(*) AS requests FROM event_states WHERE NOT settled
