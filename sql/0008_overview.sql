-- What an operator looks at first: who is alive, what waits, what fails, what is left of a CA's quota; in statements
-- that stay cheap with a million names.

-- The processes of the fleet. A process that ends says so; one that is not heard of for a minute and a half is not
-- alive, and is forgotten after a day. The id has the host and the admin port, so that one that comes back is the same.
CREATE TABLE nodes (
	id         text PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 300),
	role       text NOT NULL CHECK (role IN ('edge', 'acme', 'verifier')),
	host       text NOT NULL CHECK (length(host) <= 255),
	version    text NOT NULL CHECK (length(version) <= 100),
	started_at timestamptz NOT NULL,
	seen_at    timestamptz NOT NULL
) WITH (fillfactor = 50);

CREATE FUNCTION node_is_alive(p_seen_at timestamptz) RETURNS boolean
LANGUAGE sql STABLE AS $$ SELECT p_seen_at > clock_timestamp() - interval '90 seconds' $$;

-- "I am alive", said twice a minute. The table is nobody's to write: a login says it for its own role alone.
CREATE FUNCTION node_beat(p_id text, p_role text, p_host text, p_version text, p_up_ms bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
	v_started timestamptz := clock_timestamp() - p_up_ms * interval '1 millisecond';
BEGIN
	IF NOT pg_has_role(session_user, 'postern_' || p_role, 'MEMBER') THEN
		RAISE EXCEPTION '% is no postern_%', session_user, p_role USING ERRCODE = 'insufficient_privilege';
	END IF;
	INSERT INTO nodes AS n (id, role, host, version, started_at, seen_at)
	VALUES (p_id, p_role, p_host, p_version, v_started, clock_timestamp())
	ON CONFLICT (id) DO UPDATE SET version = EXCLUDED.version, started_at = EXCLUDED.started_at,
	       seen_at = EXCLUDED.seen_at WHERE n.role = EXCLUDED.role;
	DELETE FROM nodes WHERE seen_at < clock_timestamp() - interval '1 day';
END
$$;

CREATE FUNCTION node_leave(p_id text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
	DELETE FROM nodes WHERE id = p_id AND pg_has_role(session_user, 'postern_' || role, 'MEMBER')
$$;

-- The ceilings that issuers keep to, as they say: with them a bucket of the ledger can be read by others.
CREATE TABLE ca_ceilings (
	directory text NOT NULL,
	ceiling   text NOT NULL CHECK (ceiling IN ('accounts', 'orders', 'domain', 'exact', 'failures')),
	capacity  double precision NOT NULL CHECK (capacity > 0),
	seconds   double precision NOT NULL CHECK (seconds > 0),  -- until one token has come back
	PRIMARY KEY (directory, ceiling)
);

-- How many rows of a table fulfil a condition: counted up to 10,000, reckoned by the planner's statistics above that.
-- There has to be an index that holds all that the condition is about.
CREATE FUNCTION count_about(p_table regclass, p_condition text) RETURNS bigint
LANGUAGE plpgsql SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
DECLARE
	v_query text := format('SELECT FROM %s WHERE %s', p_table, p_condition);
	v_count bigint;
	v_plan  json;
BEGIN
	EXECUTE format('SELECT count(*) FROM (%s LIMIT 10001) AS few', v_query) INTO v_count;
	IF v_count > 10000 THEN
		EXECUTE 'EXPLAIN (FORMAT JSON) ' || v_query INTO v_plan;
		v_count := GREATEST(v_count, (v_plan -> 0 -> 'Plan' ->> 'Plan Rows')::bigint);
	END IF;
	RETURN v_count;
END
$$;

CREATE INDEX domains_status ON domains (status);
CREATE INDEX failures_kinds ON failures (cause, actor, last_at);
CREATE INDEX certificates_renewals ON certificates (renew_at) WHERE source = 'acme';
CREATE INDEX issuance_jobs_queued ON issuance_jobs (lane, next_try_at) WHERE state = 'queued';
CREATE INDEX issuance_jobs_waiting ON issuance_jobs (waits_on, lane, next_try_at) WHERE waits_on IS NOT NULL;

REVOKE ALL ON nodes, ca_ceilings FROM PUBLIC;
REVOKE ALL ON FUNCTION node_is_alive(timestamptz), node_beat(text, text, text, text, bigint), node_leave(text),
	count_about(regclass, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION node_beat(text, text, text, text, bigint), node_leave(text)
	TO postern_edge, postern_acme, postern_verifier;
GRANT SELECT, INSERT, UPDATE, DELETE ON ca_ceilings TO postern_acme;
GRANT SELECT ON nodes, ca_ceilings TO postern_verifier;
GRANT SELECT (directory, ceiling, key, tokens, counted_at, blocked_until, full_at) ON ca_budget TO postern_verifier;
GRANT EXECUTE ON FUNCTION node_is_alive(timestamptz), count_about(regclass, text), lane_rank(text) TO postern_verifier;
