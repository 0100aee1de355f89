-- What the issuer needs to spend a CA's quota with care.

-- Lanes, from the most urgent: what a job waits behind, and which share of the CA's quota it may use.
ALTER TABLE issuance_jobs ADD COLUMN lane text NOT NULL DEFAULT 'new'
	CHECK (lane IN ('urgent', 'new', 'routine', 'reissue'));

-- A campaign of re-issue brings its own reason, and a visitor's second look at a failed name is told apart from the
-- verifier's proof. `waits_on`: what holds the job back although nothing failed (the ledger, the breaker), `waits_for`:
-- the same in words; the time is next_try_at. `turn_at`: the turn that the ledger promised it, which may be later.
-- `is_charged`: the ledger has taken tokens for the order in progress. `foreseen`: the last failure was found by our own look before the order, which cost nothing of the CA's quota;
-- `last_actor`: who can mend it.
ALTER TABLE issuance_jobs
	ADD COLUMN waits_on text CHECK (waits_on IN ('budget', 'ca')),
	ADD COLUMN waits_for text,
	ADD COLUMN turn_at timestamptz,
	ADD COLUMN is_charged boolean NOT NULL DEFAULT false,
	ADD COLUMN foreseen boolean NOT NULL DEFAULT false,
	ADD COLUMN last_actor text CHECK (last_actor IN ('customer', 'operator', 'ca')),
	DROP CONSTRAINT issuance_jobs_reason_check,
	ADD CONSTRAINT issuance_jobs_reason_check
		CHECK (reason IN ('first_hit', 'pre_issue', 'recheck', 'renewal', 'repair', 'reissue'));
CREATE INDEX issuance_jobs_lane ON issuance_jobs (lane, next_try_at) WHERE state IN ('queued', 'failed');

CREATE FUNCTION lane_rank(p_lane text) RETURNS integer
LANGUAGE sql IMMUTABLE AS $$ SELECT array_position(ARRAY['urgent', 'new', 'routine', 'reissue'], p_lane) $$;

-- The last sixth of a certificate's life: a renewal that began at two thirds has failed for half of its time.
CREATE FUNCTION is_pressing(p_not_before timestamptz, p_not_after timestamptz) RETURNS boolean
LANGUAGE sql STABLE AS $$ SELECT now() > p_not_after - (p_not_after - p_not_before) / 6 $$;

-- Urgent is what breaks a site that was served: its certificate is damaged, or ends soon.
CREATE FUNCTION issuance_lane(p_name text, p_reason text) RETURNS text
LANGUAGE sql STABLE AS $$
	SELECT CASE
	       WHEN p_reason = 'reissue' THEN 'reissue'
	       WHEN p_reason = 'repair' OR EXISTS (SELECT 1 FROM certificates
	            WHERE name = p_name AND is_pressing(not_before, not_after)) THEN 'urgent'
	       WHEN p_reason = 'renewal' THEN 'routine'
	       ELSE 'new' END
$$;

-- As before, and by lanes: a job that waits in a lane moves to a more urgent one, at once. What waits for the CA is
-- not hurried by asking again; what ask forbade is, by who was allowed since. A proof that the DNS is right (pre_issue, from the verifier
-- alone) also forgets what the customer's side did wrong, so that its ladder of delays begins anew.
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
	                 OR (j.last_cause IN ('dns', 'connection', 'tls', 'unauthorized')
	                     AND (j.attempts < 2 OR j.last_try_at < clock_timestamp() - interval '12 minutes'))))))
	RETURNING j.state INTO v_state;
	IF FOUND THEN
		IF p_reason = 'pre_issue' THEN
			DELETE FROM failures WHERE name = p_name AND cause IN ('dns', 'connection', 'tls', 'unauthorized');
		END IF;
		PERFORM pg_notify('postern_job', p_name);
		RETURN v_state;
	END IF;
	SELECT state INTO v_state FROM issuance_jobs WHERE name = p_name;
	RETURN v_state;
END
$$;

-- Due is what has both reached its time and not been claimed a moment ago, by this or another node: one index for
-- both, so that a tick touches what is due and nothing else. Uploaded certificates are never in it.
-- `ari_…`: what the CA suggests (RFC 9773). The time chosen within the window is renew_at.
ALTER TABLE certificates
	ADD COLUMN renewal_claimed_until timestamptz,
	ADD COLUMN ari_next_poll_at timestamptz,  -- NULL: not asked about
	ADD COLUMN ari_window_start timestamptz,
	ADD COLUMN ari_window_end timestamptz,
	ADD COLUMN ari_explanation text;
DROP INDEX certificates_renewal;
CREATE INDEX certificates_due ON certificates (GREATEST(renew_at, renewal_claimed_until)) WHERE source = 'acme';
CREATE INDEX certificates_ari ON certificates (ari_next_poll_at) WHERE source = 'acme';

-- The edges are told of what they would serve otherwise: not of a claim, a poll, or a key that was sealed anew.
DROP TRIGGER certificates_notify ON certificates;
CREATE TRIGGER certificates_notify_rows AFTER INSERT OR DELETE ON certificates
	FOR EACH ROW EXECUTE FUNCTION notify_name('postern_site');
CREATE TRIGGER certificates_notify AFTER UPDATE ON certificates
	FOR EACH ROW WHEN (OLD.version <> NEW.version OR OLD.chain_pem <> NEW.chain_pem OR OLD.not_after <> NEW.not_after
	                   OR (OLD.key_sealed <> NEW.key_sealed AND OLD.key_id = NEW.key_id))
	EXECUTE FUNCTION notify_name('postern_site');

UPDATE certificates SET ari_next_poll_at = now() + random() * interval '12 hours';

-- The ledger of what a CA lets us do: one token bucket per ceiling and key. Tokens are those of `counted_at`; what
-- has come back since is reckoned when somebody asks. `promised`, by lane: the last turn that was given out, so that
-- who waits is told a time of its own. A bucket that is full again says nothing and is swept.
CREATE TABLE ca_budget (
	directory     text NOT NULL,
	ceiling       text NOT NULL CHECK (ceiling IN ('accounts', 'orders', 'domain', 'exact', 'failures')),
	key           text NOT NULL,          -- the registrable domain, the name, or empty: the account
	tokens        double precision NOT NULL,
	counted_at    timestamptz NOT NULL,
	blocked_until timestamptz,            -- the CA's own word
	promised      timestamptz[] NOT NULL DEFAULT array_fill('-infinity'::timestamptz, ARRAY[4]),
	full_at       timestamptz NOT NULL,
	PRIMARY KEY (directory, ceiling, key)
);
CREATE INDEX ca_budget_full ON ca_budget (full_at);

-- Takes a token of each bucket, or of none: then the ceiling that takes longest, and when this one's turn comes.
-- For each ceiling, in the same order everywhere: key, capacity (0: not known to us, only what the CA said counts),
-- seconds per token, tokens that more urgent lanes keep, and whether to take or only to look. `p_turn`: the
-- turn that the asker was given before. It does not queue behind those who got theirs later; who asks before its turn
-- is told the same again, unless there is more than those before it will want (a ceiling was raised).
CREATE TYPE budget_answer AS (granted boolean, ceiling text, turn_at timestamptz);
CREATE FUNCTION budget_take(p_directory text, p_lane text, p_turn timestamptz, p_ceilings text[], p_keys text[],
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

-- The CA refused before it counted, or what was taken came to nothing. Never above the capacity: who takes next
-- sees to that. One after the other, in the order in which budget_take locks them: else the two lock each other out.
CREATE FUNCTION budget_give_back(p_directory text, p_ceilings text[], p_keys text[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. cardinality(p_ceilings) LOOP
		UPDATE ca_budget SET tokens = tokens + 1
		 WHERE directory = p_directory AND ceiling = p_ceilings[i] AND key = p_keys[i];
	END LOOP;
END
$$;

-- The CA says: not before. One token is there then, as its own bucket has it.
CREATE FUNCTION budget_block(p_directory text, p_ceiling text, p_key text, p_seconds bigint) RETURNS void
LANGUAGE sql AS $$
	INSERT INTO ca_budget AS b (directory, ceiling, key, tokens, counted_at, blocked_until, full_at)
	SELECT p_directory, p_ceiling, p_key, 1, t.until, t.until, t.until + interval '7 days'
	  FROM (SELECT clock_timestamp() + p_seconds * interval '1 second' AS until) t
	ON CONFLICT (directory, ceiling, key) DO UPDATE
	   SET tokens = 1, counted_at = EXCLUDED.counted_at, blocked_until = EXCLUDED.blocked_until,
	       full_at = EXCLUDED.full_at
	 WHERE b.blocked_until IS NULL OR b.blocked_until < EXCLUDED.blocked_until
$$;

-- How a CA does, as the whole fleet sees it: after failures of its own for several names in a row it is left alone,
-- then tried by one.
CREATE TABLE ca_health (
	directory   text PRIMARY KEY,
	failures    integer NOT NULL DEFAULT 0,  -- in a row
	opened      integer NOT NULL DEFAULT 0,  -- times in a row: each pause is twice the last
	open_until  timestamptz,                 -- NULL: closed, all is well
	probe_until timestamptz,                 -- one tries until then
	last_name   text,
	last_error  text,
	last_at     timestamptz
);

-- NULL: go ahead (when the pause is over, to one alone). Else: not before.
CREATE FUNCTION breaker_enter(p_directory text, p_probe_ms bigint) RETURNS timestamptz
LANGUAGE plpgsql AS $$
DECLARE
	v_open  timestamptz;
	v_probe timestamptz;
BEGIN
	SELECT open_until, probe_until INTO v_open, v_probe FROM ca_health WHERE directory = p_directory;
	IF v_open IS NULL THEN
		RETURN NULL;
	ELSIF v_open > clock_timestamp() THEN
		RETURN v_open;
	END IF;
	UPDATE ca_health SET probe_until = clock_timestamp() + p_probe_ms * interval '1 millisecond'
	 WHERE directory = p_directory AND (probe_until IS NULL OR probe_until <= clock_timestamp());
	IF FOUND THEN
		RETURN NULL;
	END IF;
	RETURN clock_timestamp() + interval '5 seconds';
END
$$;

-- A failure of the CA's own doing. It opens at p_threshold in a row, not counting the same name twice, at a failed
-- probe, and for as long as the CA itself asked for, an hour at most: then one asks again. TRUE: this one opened it.
CREATE FUNCTION breaker_failed(p_directory text, p_name text, p_error text, p_retry_after_s bigint,
	p_threshold integer) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
	v_row ca_health%ROWTYPE;
	v_now timestamptz := clock_timestamp();
	v_asked_s bigint := LEAST(p_retry_after_s, 3600);
BEGIN
	INSERT INTO ca_health (directory) VALUES (p_directory) ON CONFLICT DO NOTHING;
	UPDATE ca_health h SET failures = failures + CASE WHEN last_name IS DISTINCT FROM p_name THEN 1 ELSE 0 END,
	       last_name = p_name, last_error = p_error, last_at = v_now
	 WHERE directory = p_directory RETURNING * INTO v_row;
	IF v_row.open_until > v_now AND v_row.open_until >= v_now + v_asked_s * interval '1 second' THEN
		RETURN false; -- one that was under way when it opened
	END IF;
	IF v_row.open_until IS NULL AND v_row.failures < p_threshold AND p_retry_after_s <= 0 THEN
		RETURN false;
	END IF;
	UPDATE ca_health SET opened = opened + 1, probe_until = NULL,
	       open_until = v_now + GREATEST(v_asked_s, LEAST(600, 15 * 2 ^ LEAST(opened, 10))) * interval '1 second'
	 WHERE directory = p_directory;
	RETURN true;
END
$$;

-- The CA did as it should.
CREATE FUNCTION breaker_worked(p_directory text) RETURNS void
LANGUAGE sql AS $$
	UPDATE ca_health SET failures = 0, opened = 0, open_until = NULL, probe_until = NULL, last_name = NULL
	 WHERE directory = p_directory AND (failures > 0 OR open_until IS NOT NULL)
$$;

-- Campaigns of re-issue: walked along the names in bounded steps, whoever does the next.
CREATE TABLE reissues (
	id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	selector    text NOT NULL CHECK (selector IN ('all', 'name', 'issuer', 'directory')),
	value       text NOT NULL DEFAULT '',
	reason      text NOT NULL CHECK (length(reason) BETWEEN 1 AND 200),
	state       text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'cancelled')),
	after_name  text NOT NULL DEFAULT '',  -- names up to this one have been looked at
	seen        bigint NOT NULL DEFAULT 0,
	enqueued    bigint NOT NULL DEFAULT 0,
	created_at  timestamptz NOT NULL DEFAULT now(),  -- what was stored later is new enough
	finished_at timestamptz
);
-- The same campaign is not doubled, also once it is done.
CREATE UNIQUE INDEX reissues_once ON reissues (selector, value, reason) WHERE state <> 'cancelled';

REVOKE ALL ON FUNCTION lane_rank(text), is_pressing(timestamptz, timestamptz), issuance_lane(text, text), breaker_enter(text, bigint),
	breaker_failed(text, text, text, bigint, integer), breaker_worked(text), budget_give_back(text, text[], text[]),
	budget_block(text, text, text, bigint), budget_take(text, text, timestamptz, text[], text[], double precision[],
	double precision[], double precision[], boolean[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lane_rank(text), is_pressing(timestamptz, timestamptz), issuance_lane(text, text), breaker_enter(text, bigint),
	breaker_failed(text, text, text, bigint, integer), breaker_worked(text), budget_give_back(text, text[], text[]),
	budget_block(text, text, text, bigint), budget_take(text, text, timestamptz, text[], text[], double precision[],
	double precision[], double precision[], boolean[]) TO postern_acme;
GRANT SELECT, INSERT, UPDATE, DELETE ON ca_budget TO postern_acme;
GRANT SELECT, INSERT, UPDATE ON ca_health TO postern_acme;
GRANT SELECT, UPDATE ON reissues TO postern_acme;
GRANT SELECT (lane, waits_on, waits_for) ON issuance_jobs TO postern_verifier;

-- The account's key is rolled over while the fleet works: the next one waits, sealed, beside the one in use until
-- the CA has taken it. A deactivated account issues nothing until the operator registers another.
ALTER TABLE ca_accounts
	ADD COLUMN status text NOT NULL DEFAULT 'valid' CHECK (status IN ('valid', 'deactivated')),
	ADD COLUMN key_version bigint NOT NULL DEFAULT 1,
	ADD COLUMN key_next_sealed bytea;  -- kind account_key, name = directory, version = key_version + 1

-- `account_url`: who ordered it (ARI's `replaces` is for the same CA and account). A revoked one is served until it
-- is replaced, and counts as none when its job is claimed.
ALTER TABLE certificates
	ADD COLUMN account_url text,
	ADD COLUMN revoked_at timestamptz,
	ADD COLUMN revoked_reason integer;

-- What a CA has against a name, or its own trouble with it, as long as it lasts: the other CA is chosen by it.
CREATE TABLE ca_trouble (
	name      text NOT NULL,
	directory text NOT NULL,
	cause     text NOT NULL,
	count     integer NOT NULL DEFAULT 1,  -- in a row
	last_at   timestamptz NOT NULL DEFAULT now(),
	retry_at  timestamptz NOT NULL,        -- this CA is not asked for the name before
	PRIMARY KEY (name, directory)
);

-- What the operator asks of the issuers, who alone speak to the CA and open account keys. A revocation carries a
-- copy of its certificate, since the stored one is soon replaced.
CREATE TABLE ca_tasks (
	id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	kind         text NOT NULL CHECK (kind IN ('rollover', 'deactivate', 'register', 'revoke')),
	directory    text NOT NULL,
	name         text,
	version      bigint,
	reason       integer CHECK (reason IN (0, 1, 3, 4, 5)), -- RFC 5280 section 5.3.1
	by_key       boolean NOT NULL DEFAULT false,            -- signed by the certificate's key, not the account's
	chain_pem    text,
	key_sealed   bytea,   -- kind certificate_key, name, version; NULL once it is done
	state        text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'done', 'failed')),
	result       text,    -- a sentence: what came of it, or of the last try
	attempts     integer NOT NULL DEFAULT 0,
	requested_at timestamptz NOT NULL DEFAULT now(),
	next_try_at  timestamptz NOT NULL DEFAULT now(),
	finished_at  timestamptz,
	fence        bigint NOT NULL DEFAULT 0,
	lease_owner  text,
	lease_until  timestamptz
);
CREATE INDEX ca_tasks_open ON ca_tasks (next_try_at) WHERE state IN ('queued', 'running');

-- SHA-256 of public keys (SubjectPublicKeyInfo) whose private half others know: never used again.
CREATE TABLE barred_keys (
	spki_sha256 bytea PRIMARY KEY,
	barred_at   timestamptz NOT NULL DEFAULT now()
);

GRANT SELECT, INSERT, UPDATE, DELETE ON ca_trouble TO postern_acme;
GRANT SELECT, UPDATE ON ca_tasks TO postern_acme;
GRANT SELECT, INSERT ON barred_keys TO postern_acme;
GRANT SELECT (revoked_at, revoked_reason) ON certificates TO postern_verifier;

-- The dns-persist-01 records that orders relied on, as last seen. `issuer_names`: how the CA is called in CAA and
-- dns-persist-01 records.
CREATE TABLE persist_records (
	name          text PRIMARY KEY,
	account_url   text NOT NULL,
	standing      text NOT NULL CHECK (standing IN ('good', 'ending', 'expired', 'foreign', 'gone')),
	until         timestamptz,  -- persistUntil
	checked_at    timestamptz NOT NULL DEFAULT now(),
	next_check_at timestamptz NOT NULL DEFAULT now() + interval '1 day'
);
CREATE INDEX persist_records_due ON persist_records (next_check_at);
CREATE INDEX persist_records_trouble ON persist_records (name) WHERE standing <> 'good';
ALTER TABLE ca_accounts ADD COLUMN issuer_names text[] NOT NULL DEFAULT '{}';
GRANT SELECT, INSERT, UPDATE ON persist_records TO postern_acme;
GRANT SELECT ON persist_records TO postern_verifier;
GRANT SELECT (directory, account_url, status, issuer_names) ON ca_accounts TO postern_verifier;

-- Who can mend it. The owner's tenant is in the name of where it should lead.
ALTER TABLE failures ADD COLUMN actor text NOT NULL DEFAULT 'ca' CHECK (actor IN ('customer', 'operator', 'ca'));
GRANT SELECT (tenant) ON domains TO postern_acme;
GRANT SELECT (foreseen) ON issuance_jobs TO postern_edge;
GRANT SELECT (foreseen, last_actor) ON issuance_jobs TO postern_verifier;

-- dns-01 is answered by the verifier, which sees what is public anyway: the digest, and the label of its zone at
-- which it is asked for.
ALTER TABLE challenges
	ADD COLUMN label text,
	ADD COLUMN digest text,
	DROP CONSTRAINT challenges_type_check,
	ADD CONSTRAINT challenges_type_check CHECK (type IN ('tls-alpn-01', 'http-01', 'dns-01')),
	ADD CONSTRAINT challenges_dns_check CHECK ((type = 'dns-01') = (label IS NOT NULL AND digest IS NOT NULL));
CREATE INDEX challenges_label ON challenges (label) WHERE type = 'dns-01';
GRANT SELECT (id, type, label, digest, expires_at) ON challenges TO postern_verifier;
