-- Tenants with tokens of their own, their quotas, and who did what; who owns a name, from the first proof to its
-- release.

-- Quotas: NULL takes the verifier's setting.
ALTER TABLE tenants
	ADD COLUMN title text CHECK (length(title) <= 200),
	ADD COLUMN max_domains integer CHECK (max_domains >= 0),
	ADD COLUMN verifications_per_hour integer CHECK (verifications_per_hour >= 0);

-- A token bucket: verifications that a tenant has left, as of `counted_at`.
CREATE TABLE tenant_usage (
	tenant     text PRIMARY KEY REFERENCES tenants (id),
	left_over  double precision NOT NULL,
	counted_at timestamptz NOT NULL
);

-- Only a token's SHA-256 is kept; `hint` is its beginning, by which people tell them apart.
CREATE TABLE api_tokens (
	id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	token_hash   bytea NOT NULL UNIQUE CHECK (length(token_hash) = 32),
	hint         text NOT NULL,
	scope        text NOT NULL CHECK (scope IN ('operator', 'tenant')),
	tenant       text REFERENCES tenants (id),
	label        text CHECK (length(label) <= 200),
	created_at   timestamptz NOT NULL DEFAULT now(),
	created_by   text NOT NULL,
	expires_at   timestamptz,
	revoked_at   timestamptz,
	last_used_at timestamptz, -- written once in a quarter of an hour
	CHECK ((scope = 'tenant') = (tenant IS NOT NULL))
);
CREATE INDEX api_tokens_tenant ON api_tokens (tenant, id);

-- A session is what it logged in with: NULL, the admin token; else a token, and it ends with that.
ALTER TABLE sessions ADD COLUMN token_id bigint REFERENCES api_tokens (id);

-- What was answered to a POST with an Idempotency-Key: `status` NULL while the first one is at it.
CREATE TABLE idempotency_keys (
	actor        text NOT NULL,
	key          text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
	request_hash bytea NOT NULL,
	made_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
	status       integer,
	type         text,
	location     text,
	body         text,
	PRIMARY KEY (actor, key)
);
CREATE INDEX idempotency_keys_made ON idempotency_keys (made_at);

-- The results of an import that is under way, until they have been sent.
CREATE SEQUENCE imports;
CREATE TABLE import_results (
	import  bigint NOT NULL,
	line    integer NOT NULL,
	answer  text NOT NULL,
	made_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (import, line)
);
CREATE INDEX import_results_made ON import_results (made_at);

-- The audit trail holds what is done to tenants and tokens as well: then `name` is NULL. `remote`: the address
-- that the request came from.
ALTER TABLE domain_events ALTER COLUMN name DROP NOT NULL, ADD COLUMN remote text;
CREATE INDEX domain_events_tenant ON domain_events (tenant, id DESC);

-- `txt_label`: the label of the TXT record where it is not the setting's (a move from another system).
-- `token_made_at`: no proof by this token is older. `owner_since`: when the claim became the owner's.
-- `first_here_at`: when the name first pointed here as the owner's: the cut-over. `doubts`: checks in a row that
-- found the TXT record or the routing gone. `gone_since`: since when both are.
ALTER TABLE domains
	ADD COLUMN kind text NOT NULL DEFAULT 'customer' CHECK (kind IN ('customer', 'platform')),
	ADD COLUMN txt_label text CHECK (length(txt_label) BETWEEN 1 AND 63),
	ADD COLUMN token_made_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	ADD COLUMN owner_since timestamptz,
	ADD COLUMN first_here_at timestamptz,
	ADD COLUMN doubts integer NOT NULL DEFAULT 0,
	ADD COLUMN gone_since timestamptz,
	ADD COLUMN suspended_by text CHECK (suspended_by IN ('drift', 'operator')),
	ADD CONSTRAINT domains_platform_check CHECK (kind = 'customer' OR options ? 'upstream'),
	DROP CONSTRAINT domains_token_check,
	ADD CONSTRAINT domains_token_check CHECK (length(token) BETWEEN 16 AND 120);
UPDATE domains SET token_made_at = created_at;
UPDATE domains SET owner_since = COALESCE(verified_at, status_changed_at),
	first_here_at = CASE WHEN points_here THEN COALESCE(verified_at, status_changed_at) END,
	next_check_at = COALESCE(next_check_at, now() + random() * interval '1 day')
 WHERE status IN ('active', 'drifted', 'suspended');
-- What makes a proof stale is the last release.
CREATE INDEX domains_released ON domains (name, status_changed_at) WHERE status = 'released';
CREATE INDEX domains_list ON domains (tenant, name, id);

-- Adds claims, an array's element each; p_scope is the tenant whose all must be, NULL for the operator, who makes
-- tenants by naming them. The tenants' rows are locked in one order, so that two of these cannot lock each other
-- out, nor pass a quota together. Outcomes: added, exists (the tenant has it), full (the quota), owned (it was
-- to be active at once, and is somebody else's). Many at once are looked at within the hour, so that who adds one now need
-- not wait behind them. Planned anew each time, by index: a plan from when the table was small, or for what its
-- statistics were then, reads all of it for every batch.
CREATE FUNCTION claims_add(p_scope text, p_quota integer, p_actor text, p_remote text, p_tenants text[],
	p_names text[], p_tokens text[], p_labels text[], p_kinds text[], p_statuses text[], p_options text[])
	RETURNS TABLE (line bigint, outcome text)
LANGUAGE plpgsql SET plan_cache_mode = force_custom_plan SET enable_seqscan = off SET enable_hashjoin = off
	SET enable_mergejoin = off AS $$
BEGIN
	IF EXISTS (SELECT 1 FROM unnest(p_tenants) AS t WHERE t IS DISTINCT FROM p_scope AND p_scope IS NOT NULL) THEN
		RAISE EXCEPTION 'claims of another tenant' USING ERRCODE = 'insufficient_privilege';
	END IF;
	WITH made AS (INSERT INTO tenants (id) SELECT DISTINCT t FROM unnest(p_tenants) AS t ORDER BY t
	              ON CONFLICT DO NOTHING RETURNING id)
	INSERT INTO domain_events (tenant, event, actor, remote) SELECT id, 'tenant_created', p_actor, p_remote FROM made;
	PERFORM 1 FROM tenants WHERE id = ANY (p_tenants) ORDER BY id FOR NO KEY UPDATE;
	RETURN QUERY
	WITH asked AS (
		SELECT u.*, row_number() OVER (PARTITION BY u.tenant, u.name ORDER BY u.line) AS copy
		  FROM unnest(p_tenants, p_names, p_tokens, p_labels, p_kinds, p_statuses, p_options) WITH ORDINALITY
		       AS u (tenant, name, token, label, kind, status, options, line)
	), fresh AS (
		SELECT a.*, row_number() OVER (PARTITION BY a.tenant ORDER BY a.line) AS place FROM asked a
		 WHERE a.copy = 1 AND NOT EXISTS
		       (SELECT 1 FROM domains d WHERE d.tenant = a.tenant AND d.name = a.name AND d.status <> 'released')
	), room AS (
		SELECT t.id, COALESCE(t.max_domains, p_quota) - CASE WHEN COALESCE(t.max_domains, p_quota) IS NOT NULL THEN
		       (SELECT count(*) FROM domains d WHERE d.tenant = t.id AND d.status <> 'released') END AS places
		  FROM tenants t WHERE t.id = ANY (p_tenants)
	), added AS (
		INSERT INTO domains (tenant, name, token, txt_label, kind, status, options, verified_at, owner_since,
		                     next_check_at)
		SELECT f.tenant, f.name, f.token, f.label, f.kind, f.status, f.options::jsonb,
		       CASE WHEN f.status = 'active' THEN now() END,
		       CASE WHEN f.status = 'active' THEN clock_timestamp() END,
		       CASE WHEN f.kind = 'customer' THEN
		            now() + CASE WHEN cardinality(p_names) > 1 THEN random() * interval '1 hour' ELSE interval '0' END END
		  FROM fresh f JOIN room r ON r.id = f.tenant WHERE r.places IS NULL OR f.place <= r.places
		ON CONFLICT DO NOTHING RETURNING tenant, name, status, kind
	), noted AS (
		INSERT INTO domain_events (tenant, name, event, actor, remote, detail)
		SELECT tenant, name, CASE WHEN kind = 'customer' AND status = 'active' THEN 'imported' ELSE 'added' END,
		       p_actor, p_remote, CASE WHEN kind = 'platform' THEN 'a name of the platform' END FROM added
	)
	SELECT a.line, CASE WHEN f.line IS NULL THEN 'exists' WHEN d.name IS NOT NULL THEN 'added'
	                    WHEN f.place > r.places THEN 'full' ELSE 'owned' END
	  FROM asked a LEFT JOIN fresh f ON f.line = a.line LEFT JOIN room r ON r.id = a.tenant
	  LEFT JOIN added d ON d.tenant = a.tenant AND d.name = a.name
	 ORDER BY a.line;
	IF 'platform' = ANY (p_kinds) THEN
		PERFORM enqueue_issuance(u.name, 'pre_issue') FROM unnest(p_names, p_kinds, p_tenants) AS u (name, kind, tenant)
		  JOIN domains d ON d.name = u.name AND d.tenant = u.tenant AND d.status = 'active' WHERE u.kind = 'platform';
	END IF;
END
$$;

-- A pending claim whose TXT record was found becomes the owner's, by compare-and-swap. Somebody else's name is taken
-- over where the proof is fresh (its token was made after that ownership began) and the owner's own record was
-- looked for in the same check and is gone. A name that was released is in quarantine: a token from before proves
-- nothing, so that no record left behind catches it. Platform names and what the operator suspended stay. Who did it,
-- from where, is in the event of the new owner, and not for the former one to see.
CREATE FUNCTION claim_take(p_claim domains, p_rival bigint, p_rival_gone boolean, p_quarantine_s bigint, p_actor text,
	p_remote text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	v_owner domains%ROWTYPE;
BEGIN
	SELECT * INTO v_owner FROM domains
	 WHERE name = p_claim.name AND status IN ('active', 'drifted', 'suspended') FOR UPDATE;
	IF FOUND THEN
		IF v_owner.kind = 'platform' OR v_owner.suspended_by = 'operator' OR v_owner.id IS DISTINCT FROM p_rival
		   OR p_rival_gone IS NOT TRUE THEN
			RETURN 'owned';
		ELSIF p_claim.token_made_at <= v_owner.owner_since THEN
			RETURN 'stale';
		END IF;
	ELSIF EXISTS (SELECT 1 FROM domains WHERE name = p_claim.name AND status = 'released'
	              AND status_changed_at >= p_claim.token_made_at
	              AND status_changed_at > clock_timestamp() - p_quarantine_s * interval '1 second') THEN
		RETURN 'stale';
	END IF;
	BEGIN
		IF v_owner.id IS NOT NULL THEN
			UPDATE domains SET status = 'released', status_changed_at = clock_timestamp(), points_here = NULL,
			       next_check_at = NULL, check_lease_until = NULL WHERE id = v_owner.id;
			INSERT INTO domain_events (tenant, name, event, actor, remote, detail)
			VALUES (v_owner.tenant, v_owner.name, 'taken_over', 'other-tenant', NULL,
			        'Its TXT record was gone, and another tenant proved with a fresh one that the name is theirs.');
		END IF;
		UPDATE domains SET status = 'active', status_changed_at = now(), owner_since = clock_timestamp(),
		       doubts = 0, gone_since = NULL, first_here_at = NULL, suspended_by = NULL WHERE id = p_claim.id;
	EXCEPTION WHEN unique_violation THEN
		RETURN 'owned';
	END;
	INSERT INTO domain_events (tenant, name, event, actor, remote)
	VALUES (p_claim.tenant, p_claim.name, 'verified', p_actor, p_remote);
	RETURN 'verified';
END
$$;

-- Stores a check and what follows from it. p_txt: the TXT record is there (true), is gone for certain (false), could
-- not be found out (NULL); p_here likewise for the routing. Nothing follows from what could not be found out. p_next_s:
-- the next look while something is awaited, p_reverify_s: while all is well (0: never), p_suspend_s: how long
-- both must be gone (0: never suspended). Outcomes: lost (the claim is another by now), owned, stale (see
-- claim_take), verified, drifted, recovered, suspended, resumed, settled.
CREATE FUNCTION claim_settle(p_id bigint, p_token text, p_outcome text, p_detail text, p_found jsonb, p_took_ms integer,
	p_by text, p_actor text, p_remote text, p_txt boolean, p_here boolean, p_rival bigint, p_rival_gone boolean,
	p_checks integer, p_next_s integer, p_reverify_s bigint, p_suspend_s bigint, p_quarantine_s bigint,
	p_pre_issue boolean) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	v_row     domains%ROWTYPE;
	v_event   text;
	v_is_gone boolean;
	v_seconds double precision;
BEGIN
	-- Before the check is written, which takes a weaker lock on the row: two that both held it could not both go on.
	PERFORM 1 FROM domains WHERE id = p_id FOR UPDATE;
	INSERT INTO domain_checks (domain_id, checked_by, outcome, detail, found, took_ms)
	SELECT id, p_by, p_outcome, p_detail, p_found, p_took_ms FROM domains WHERE id = p_id;
	DELETE FROM domain_checks WHERE domain_id = p_id AND id <=
	       (SELECT id FROM domain_checks WHERE domain_id = p_id ORDER BY id DESC OFFSET 200 LIMIT 1);
	SELECT * INTO v_row FROM domains WHERE id = p_id AND token = p_token AND status <> 'released' FOR UPDATE;
	IF NOT FOUND THEN
		RETURN 'lost';
	END IF;
	IF v_row.status = 'pending' AND p_txt THEN
		v_event := claim_take(v_row, p_rival, p_rival_gone, p_quarantine_s, p_actor, p_remote);
		IF v_event = 'verified' THEN
			SELECT * INTO v_row FROM domains WHERE id = p_id;
		END IF;
	END IF;

	v_row.points_here := COALESCE(p_here, v_row.points_here);
	IF v_row.status <> 'pending' THEN
		IF p_here THEN
			v_row.first_here_at := COALESCE(v_row.first_here_at, now());
		END IF;
		IF p_txt = false OR (p_here = false AND v_row.first_here_at IS NOT NULL) THEN
			v_row.doubts := v_row.doubts + 1;
		ELSIF p_txt AND (p_here OR v_row.first_here_at IS NULL) THEN
			v_row.doubts := 0;
		END IF;
		v_is_gone := p_txt = false AND p_here = false AND v_row.first_here_at IS NOT NULL;
		IF v_is_gone THEN
			v_row.gone_since := COALESCE(v_row.gone_since, now());
		ELSIF p_txt OR p_here THEN
			v_row.gone_since := NULL;
		END IF;
	END IF;
	IF v_event IS NULL THEN
		v_event := CASE
			WHEN v_row.status = 'active' AND v_row.doubts >= 2 THEN 'drifted'
			WHEN v_row.status = 'drifted' AND v_row.doubts = 0 THEN 'recovered'
			WHEN v_row.status = 'drifted' AND v_is_gone AND p_suspend_s > 0
			     AND v_row.gone_since <= now() - p_suspend_s * interval '1 second' THEN 'suspended'
			WHEN v_row.status = 'suspended' AND v_row.suspended_by = 'drift' AND p_txt THEN 'resumed'
			ELSE 'settled' END;
		IF v_event <> 'settled' THEN
			v_row.status := CASE v_event WHEN 'recovered' THEN 'active' WHEN 'resumed' THEN 'active' ELSE v_event END;
			v_row.suspended_by := CASE v_event WHEN 'suspended' THEN 'drift' END;
			v_row.status_changed_at := now();
			INSERT INTO domain_events (tenant, name, event, actor, remote, detail)
			VALUES (v_row.tenant, v_row.name, v_event, p_actor, p_remote, p_detail);
		END IF;
	END IF;

	v_seconds := CASE
		WHEN v_row.status = 'pending' THEN p_next_s
		WHEN v_row.status IN ('active', 'drifted') AND v_row.points_here IS NOT TRUE AND v_row.first_here_at IS NULL
		     AND p_next_s IS NOT NULL THEN p_next_s
		WHEN p_reverify_s = 0 THEN NULL
		WHEN v_row.status = 'active' AND v_row.doubts > 0 THEN LEAST(600, p_reverify_s)
		WHEN v_row.status <> 'active' THEN LEAST(3600, p_reverify_s)
		ELSE p_reverify_s * (0.9 + 0.2 * random()) END;
	UPDATE domains SET status = v_row.status, status_changed_at = v_row.status_changed_at,
	       points_here = v_row.points_here, verified_at = CASE WHEN p_txt AND v_row.status <> 'pending' THEN now()
	       ELSE verified_at END, first_here_at = v_row.first_here_at, doubts = v_row.doubts,
	       gone_since = v_row.gone_since, suspended_by = v_row.suspended_by, checks = p_checks,
	       check_lease_until = NULL, next_check_at = clock_timestamp() + v_seconds * interval '1 second'
	 WHERE id = p_id;
	IF p_pre_issue AND v_row.points_here AND v_row.status IN ('active', 'drifted') AND NOT EXISTS
	   (SELECT 1 FROM certificates c WHERE c.name = v_row.name AND c.not_after > now() + interval '1 day') THEN
		PERFORM enqueue_issuance(v_row.name, 'pre_issue');
	END IF;
	RETURN v_event;
END
$$;

-- Takes one of a tenant's verifications: 0, or the seconds until there is one.
CREATE FUNCTION tenant_take_verification(p_tenant text, p_per_hour integer) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
	v_most double precision;
	v_left double precision;
BEGIN
	SELECT COALESCE(verifications_per_hour, p_per_hour) INTO v_most FROM tenants WHERE id = p_tenant;
	IF v_most IS NULL THEN
		RETURN 0;
	ELSIF v_most = 0 THEN
		RETURN 3600;
	END IF;
	INSERT INTO tenant_usage VALUES (p_tenant, v_most, clock_timestamp()) ON CONFLICT DO NOTHING;
	SELECT LEAST(v_most, left_over + GREATEST(0, extract(epoch FROM clock_timestamp() - counted_at)) * v_most / 3600)
	  INTO v_left FROM tenant_usage WHERE tenant = p_tenant FOR UPDATE;
	IF v_left < 1 THEN
		RETURN ceil((1 - v_left) * 3600 / v_most);
	END IF;
	UPDATE tenant_usage SET left_over = v_left - 1, counted_at = clock_timestamp() WHERE tenant = p_tenant;
	RETURN 0;
END
$$;

REVOKE ALL ON tenant_usage, api_tokens, idempotency_keys, import_results FROM PUBLIC;
REVOKE ALL ON FUNCTION claims_add(text, integer, text, text, text[], text[], text[], text[], text[], text[], text[]),
	claim_take(domains, bigint, boolean, bigint, text, text),
	claim_settle(bigint, text, text, text, jsonb, integer, text, text, text, boolean, boolean, bigint, boolean,
		integer, integer, bigint, bigint, bigint, boolean),
	tenant_take_verification(text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION claims_add(text, integer, text, text, text[], text[], text[], text[], text[], text[], text[]),
	claim_take(domains, bigint, boolean, bigint, text, text),
	claim_settle(bigint, text, text, text, jsonb, integer, text, text, text, boolean, boolean, bigint, boolean,
		integer, integer, bigint, bigint, bigint, boolean),
	tenant_take_verification(text, integer) TO postern_verifier;
GRANT UPDATE (title, max_domains, verifications_per_hour) ON tenants TO postern_verifier;
GRANT UPDATE (owner_since, first_here_at, doubts, gone_since, suspended_by) ON domains
	TO postern_verifier;
GRANT SELECT, INSERT, UPDATE ON tenant_usage, api_tokens TO postern_verifier;
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_keys TO postern_verifier;
GRANT SELECT, INSERT, DELETE ON import_results TO postern_verifier;
GRANT USAGE ON SEQUENCE imports TO postern_verifier;
GRANT SELECT (chain_pem) ON certificates TO postern_verifier;
