-- CAA records are the customer's DNS too: a failure by them is brought forward, and forgotten, by the proof that DNS is
-- right, as the others of the customer's side are. As before in all else.
CREATE OR REPLACE FUNCTION enqueue_issuance(p_name text, p_reason text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
	v_state text;
	v_lane  text := issuance_lane(p_name, p_reason);
BEGIN
	INSERT INTO issuance_jobs AS j (name, state, reason, lane)
	VALUES (p_name, 'queued', p_reason, v_lane)
	ON CONFLICT (name) DO UPDATE
	   SET state = 'queued', reason = EXCLUDED.reason, lane = EXCLUDED.lane, waits_on = NULL,
	       waits_for = NULL, turn_at = NULL, requested_at = clock_timestamp(), next_try_at = clock_timestamp()
	 WHERE j.state = 'idle'
	    OR (j.state IN ('queued', 'failed') AND (j.state = 'queued' OR j.waits_on IS NOT NULL)
	        AND (lane_rank(EXCLUDED.lane) < lane_rank(j.lane)
	             OR (j.waits_on IS NULL AND j.reason IN ('renewal', 'reissue')
	                 AND p_reason NOT IN ('renewal', 'reissue'))))
	    OR (j.state = 'failed' AND (j.next_try_at <= clock_timestamp()
	        OR (j.last_cause = 'denied' AND p_reason IN ('first_hit', 'pre_issue', 'repair'))
	        OR (p_reason IN ('pre_issue', 'recheck') AND j.waits_on IS NULL
	            AND ((j.foreseen AND (p_reason = 'pre_issue' OR j.last_try_at < clock_timestamp() - interval '15 seconds'))
	                 OR (j.last_cause IN ('dns', 'connection', 'tls', 'unauthorized', 'caa')
	                     AND (j.attempts < 2 OR j.last_try_at < clock_timestamp() - interval '12 minutes'))))))
	RETURNING j.state INTO v_state;
	IF FOUND THEN
		IF p_reason = 'pre_issue' THEN
			DELETE FROM failures WHERE name = p_name AND cause IN ('dns', 'connection', 'tls', 'unauthorized', 'caa');
		END IF;
		PERFORM pg_notify('postern_job', p_name);
		RETURN v_state;
	END IF;
	SELECT state INTO v_state FROM issuance_jobs WHERE name = p_name;
	RETURN v_state;
END
$$;
