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

-- As before, and: where the clock went back, a bucket that was counted in a time to come would fill no more until then.
CREATE OR REPLACE FUNCTION budget_take(p_directory text, p_lane text, p_turn timestamptz, p_ceilings text[], p_keys text[],
	p_capacities double precision[], p_seconds double precision[], p_floors double precision[], p_takes boolean[])
	RETURNS budget_answer
LANGUAGE plpgsql AS $$
DECLARE
	v_rank   integer := lane_rank(p_lane);
	v_row    ca_budget%ROWTYPE;
	v_now    timestamptz;
	v_base   timestamptz;
	v_tokens double precision;
	v_short  double precision;
	v_second double precision;
	v_turn   timestamptz;
	v_key    text;
	v_answer budget_answer;
BEGIN
	v_answer.granted := true;
	FOR i IN 1 .. cardinality(p_ceilings) LOOP
		IF p_capacities[i] > 0 THEN
			INSERT INTO ca_budget (directory, ceiling, key, tokens, counted_at, full_at)
			VALUES (p_directory, p_ceilings[i], p_keys[i], p_capacities[i], clock_timestamp(), clock_timestamp())
			ON CONFLICT DO NOTHING;
		END IF;
		SELECT * INTO v_row FROM ca_budget b
		 WHERE b.directory = p_directory AND b.ceiling = p_ceilings[i] AND b.key = p_keys[i] FOR UPDATE;
		CONTINUE WHEN NOT FOUND;
		v_now := clock_timestamp();
		IF v_row.counted_at > GREATEST(v_now, v_row.blocked_until) + interval '1 second' THEN
			UPDATE ca_budget b SET counted_at = v_now, promised = array_fill('-infinity'::timestamptz, ARRAY[4])
			 WHERE b.directory = p_directory AND b.ceiling = p_ceilings[i] AND b.key = p_keys[i] RETURNING * INTO v_row;
		END IF;
		v_base := GREATEST(v_now, v_row.blocked_until);
		v_second := CASE WHEN p_capacities[i] > 0 THEN p_seconds[i] ELSE 0.1 END;
		v_tokens := 'infinity';
		IF p_capacities[i] > 0 THEN
			v_tokens := LEAST(p_capacities[i], v_row.tokens
				+ GREATEST(0, extract(epoch FROM v_base - v_row.counted_at)) / v_second);
		ELSIF v_base > v_now THEN
			v_tokens := 1;
		END IF;
		v_short := p_floors[i] + 1 - v_tokens;
		IF p_turn IS NULL THEN
			v_short := v_short + ceil(extract(epoch FROM GREATEST(v_row.promised[v_rank], v_base) - v_base)
				/ v_second - 0.01);
		END IF;
		v_turn := v_base + GREATEST(v_short, 0) * v_second * interval '1 second';
		IF p_turn > v_now AND v_short > -1 THEN
			v_turn := GREATEST(v_turn, p_turn);
		END IF;
		IF v_turn > v_now AND (v_answer.turn_at IS NULL OR v_turn > v_answer.turn_at) THEN
			v_answer := (false, p_ceilings[i], v_turn);
			v_key := p_keys[i];
		END IF;
	END LOOP;
	IF NOT v_answer.granted THEN
		UPDATE ca_budget b SET promised[v_rank] = GREATEST(b.promised[v_rank], v_answer.turn_at)
		 WHERE b.directory = p_directory AND b.ceiling = v_answer.ceiling AND b.key = v_key;
		RETURN v_answer;
	END IF;
	UPDATE ca_budget b SET (tokens, counted_at, full_at) = (SELECT n.left_over, clock_timestamp(),
		clock_timestamp() + (t.capacity - n.left_over) * t.seconds * interval '1 second'
		FROM (SELECT GREATEST(0, LEAST(t.capacity, b.tokens + GREATEST(0,
			extract(epoch FROM clock_timestamp() - b.counted_at)) / t.seconds) - 1) AS left_over) n)
	  FROM unnest(p_ceilings, p_keys, p_capacities, p_seconds, p_takes) AS t (ceiling, key, capacity, seconds, take)
	 WHERE b.directory = p_directory AND b.ceiling = t.ceiling AND b.key = t.key AND t.take AND t.capacity > 0;
	RETURN v_answer;
END
$$;

REVOKE ALL ON FUNCTION breaker_enter(text, bigint), breaker_leave(text, timestamptz),
	reissue_means(text, text, text, text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION breaker_enter(text, bigint), breaker_leave(text, timestamptz),
	reissue_means(text, text, text, text, text, text) TO postern_acme;
