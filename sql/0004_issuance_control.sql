-- What issuance control adds: the breaker's end is taken slowly, what is done is forgotten in time, and a tick of
-- renewals writes less.

-- Since when the CA works again, and how many orders have been let through since.
ALTER TABLE ca_health
	ADD COLUMN resumed_at timestamptz,
	ADD COLUMN resumed bigint NOT NULL DEFAULT 0;

-- Both NULL: go ahead. `not_before`: wait; those who wait come back spread, never all at once. `probe`: the pause is
-- over, and the asker alone tries the CA; it gives this to breaker_leave when it has nothing to say about the CA.
-- In the minute after the CA is found well, work resumes at a growing pace: after s seconds 2 + 2 s + s² orders.
DROP FUNCTION breaker_enter(text, bigint);
CREATE FUNCTION breaker_enter(p_directory text, p_probe_ms bigint, OUT not_before timestamptz, OUT probe timestamptz)
LANGUAGE plpgsql AS $$
DECLARE
	v_row ca_health%ROWTYPE;
	v_now timestamptz := clock_timestamp();
	v_s   double precision;
BEGIN
	SELECT * INTO v_row FROM ca_health WHERE directory = p_directory;
	IF v_row.open_until > v_now THEN
		not_before := v_row.open_until + random() * LEAST(interval '30 seconds', (v_row.open_until - v_now) / 3);
	ELSIF v_row.open_until IS NOT NULL THEN
		UPDATE ca_health h SET probe_until = v_now + p_probe_ms * interval '1 millisecond'
		 WHERE h.directory = p_directory AND h.open_until IS NOT NULL
		   AND (h.probe_until IS NULL OR h.probe_until <= v_now)
		RETURNING h.probe_until INTO probe;
		IF NOT FOUND THEN
			not_before := v_now + (3 + 7 * random()) * interval '1 second';
		END IF;
	ELSIF v_row.resumed_at > v_now - interval '1 minute' THEN
		v_s := GREATEST(0, extract(epoch FROM v_now - v_row.resumed_at));
		UPDATE ca_health h SET resumed = h.resumed + 1
		 WHERE h.directory = p_directory AND h.resumed < 2 + 2 * v_s + v_s * v_s;
		IF NOT FOUND THEN
			not_before := v_now + (1 + random() * LEAST(15, 60 - v_s)) * interval '1 second';
		END IF;
	END IF;
END
$$;

-- The probe came to nothing that says how the CA does: somebody else tries at once.
CREATE FUNCTION breaker_leave(p_directory text, p_probe timestamptz) RETURNS void
LANGUAGE sql AS $$
	UPDATE ca_health SET probe_until = NULL WHERE directory = p_directory AND probe_until = p_probe
$$;

CREATE OR REPLACE FUNCTION breaker_worked(p_directory text) RETURNS void
LANGUAGE sql AS $$
	UPDATE ca_health SET failures = 0, opened = 0, open_until = NULL, probe_until = NULL, last_name = NULL,
	       resumed_at = CASE WHEN open_until IS NULL THEN resumed_at ELSE clock_timestamp() END,
	       resumed = CASE WHEN open_until IS NULL THEN resumed ELSE 0 END
	 WHERE directory = p_directory AND (failures > 0 OR open_until IS NOT NULL)
$$;

-- Which certificates a campaign of re-issue means: for the issuers who walk them, and for the operator who counts.
CREATE FUNCTION reissue_means(p_selector text, p_value text, p_source text, p_name text, p_directory text,
	p_issuer text) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
	SELECT p_source = 'acme' AND CASE p_selector WHEN 'name' THEN p_name = p_value
	       WHEN 'directory' THEN p_directory = p_value
	       WHEN 'issuer' THEN position(lower(p_value) IN lower(p_issuer)) > 0 ELSE true END
$$;

-- What the operator asked for is kept for a month after its end, to be looked up.
CREATE INDEX ca_tasks_finished ON ca_tasks (finished_at) WHERE finished_at IS NOT NULL;
GRANT DELETE ON ca_tasks TO postern_acme;

-- As before, and a statement that writes none of these columns (a claim, a poll) does not even compare them: a chain
-- is kilobytes, kept apart from its row.
DROP TRIGGER certificates_notify ON certificates;
CREATE TRIGGER certificates_notify AFTER UPDATE OF version, chain_pem, not_after, key_sealed, key_id ON certificates
	FOR EACH ROW WHEN (OLD.version <> NEW.version OR OLD.chain_pem <> NEW.chain_pem OR OLD.not_after <> NEW.not_after
	                   OR (OLD.key_sealed <> NEW.key_sealed AND OLD.key_id = NEW.key_id))
	EXECUTE FUNCTION notify_name('postern_site');

-- A certificate whose CA is not asked when to renew it costs this index nothing.
DROP INDEX certificates_ari;
CREATE INDEX certificates_ari ON certificates (ari_next_poll_at)
	WHERE source = 'acme' AND ari_next_poll_at IS NOT NULL;

REVOKE ALL ON FUNCTION breaker_enter(text, bigint), breaker_leave(text, timestamptz),
	reissue_means(text, text, text, text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION breaker_enter(text, bigint), breaker_leave(text, timestamptz),
	reissue_means(text, text, text, text, text, text) TO postern_acme;
