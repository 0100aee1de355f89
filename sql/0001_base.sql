-- The tables through which edge, acme and verifier meet. README.md beside this file explains each, and who may
-- do what. Times are the database's: no client's clock decides about a lease.

CREATE TABLE tenants (
	id         text PRIMARY KEY CHECK (id ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
	created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO tenants (id) VALUES ('default');

-- One row per claim: a tenant that says a name is its own. Several may claim a name; one may own it.
CREATE TABLE domains (
	id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	tenant            text NOT NULL REFERENCES tenants (id),
	name              text NOT NULL CHECK (name = lower(name) AND length(name) BETWEEN 1 AND 253),
	status            text NOT NULL DEFAULT 'pending'
	                  CHECK (status IN ('pending', 'active', 'drifted', 'suspended', 'released')),
	token             text NOT NULL CHECK (length(token) >= 32),
	points_here       boolean,             -- as last seen in DNS; NULL: never looked, or could not tell
	created_at        timestamptz NOT NULL DEFAULT now(),
	verified_at       timestamptz,
	status_changed_at timestamptz NOT NULL DEFAULT now(),
	checks            integer NOT NULL DEFAULT 0,
	next_check_at     timestamptz DEFAULT now(), -- NULL: no automatic check
	check_lease_until timestamptz
);
-- A tenant claims a name once; what it released stays as history beside a new claim.
CREATE UNIQUE INDEX domains_claim ON domains (tenant, name) WHERE status <> 'released';
-- At most one owner per name, whoever races.
CREATE UNIQUE INDEX domains_owner ON domains (name) WHERE status IN ('active', 'drifted', 'suspended');
CREATE INDEX domains_name ON domains (name);
CREATE INDEX domains_due ON domains (next_check_at) WHERE next_check_at IS NOT NULL;

CREATE TABLE domain_checks (
	id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	domain_id  bigint NOT NULL REFERENCES domains (id) ON DELETE CASCADE,
	checked_at timestamptz NOT NULL DEFAULT now(),
	checked_by text NOT NULL CHECK (checked_by IN ('api', 'poller')),
	outcome    text NOT NULL CHECK (outcome IN ('verified', 'absent', 'mismatch', 'temporary', 'bogus')),
	detail     text,
	found      jsonb NOT NULL DEFAULT '{}',
	took_ms    integer NOT NULL
);
CREATE INDEX domain_checks_domain ON domain_checks (domain_id, id DESC);

CREATE TABLE domain_events (
	id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	at     timestamptz NOT NULL DEFAULT now(),
	tenant text NOT NULL,
	name   text NOT NULL,
	event  text NOT NULL,
	actor  text NOT NULL,
	detail text
);
CREATE INDEX domain_events_name ON domain_events (name, id DESC);

-- The certificate in use for a name. `version` only grows (it is the fence of the job that stored it), so a
-- reader that has a newer one drops an older. The private key is sealed: kind certificate_key, name, version.
CREATE TABLE certificates (
	name       text PRIMARY KEY CHECK (name = lower(name) AND length(name) BETWEEN 1 AND 253),
	version    bigint NOT NULL,
	chain_pem  text NOT NULL,
	key_sealed bytea NOT NULL,
	key_id     text NOT NULL,
	issuer     text NOT NULL,
	serial     text NOT NULL,
	directory  text NOT NULL,
	not_before timestamptz NOT NULL,
	not_after  timestamptz NOT NULL,
	renew_at   timestamptz NOT NULL,
	stored_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX certificates_renewal ON certificates (renew_at);

CREATE SEQUENCE fences;

-- One permanent row per name. A claim takes the next fence; each later write demands it. `step` says what has
-- been done for the order in progress, and everything needed to go on from there is in the row.
CREATE TABLE issuance_jobs (
	name            text PRIMARY KEY CHECK (name = lower(name) AND length(name) BETWEEN 1 AND 253),
	state           text NOT NULL CHECK (state IN ('idle', 'queued', 'running', 'failed')),
	reason          text NOT NULL CHECK (reason IN ('first_hit', 'pre_issue', 'renewal', 'repair')),
	requested_at    timestamptz NOT NULL DEFAULT now(),
	next_try_at     timestamptz NOT NULL DEFAULT now(),
	fence           bigint NOT NULL DEFAULT 0,
	lease_owner     text,
	lease_until     timestamptz,
	step            text NOT NULL DEFAULT 'none'
	                CHECK (step IN ('none', 'ordering', 'ordered', 'finalizing', 'issued')),
	directory       text,
	order_url       text,
	key_sealed      bytea,  -- kind issuance_key, name, version = key_version
	key_version     bigint,
	csr             bytea,
	certificate_url text,
	attempts        integer NOT NULL DEFAULT 0, -- failures since the last success
	last_cause      text,
	last_error      text,
	last_try_at     timestamptz,
	finished_at     timestamptz
);
CREATE INDEX issuance_jobs_due ON issuance_jobs (next_try_at) WHERE state IN ('queued', 'failed');
CREATE INDEX issuance_jobs_leases ON issuance_jobs (lease_until) WHERE state = 'running';

-- Live challenges. Committed before the CA is told to validate; any edge answers. `seen_at`: an answer went out.
CREATE TABLE challenges (
	id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	name              text NOT NULL,
	type              text NOT NULL CHECK (type IN ('tls-alpn-01', 'http-01')),
	token             text NOT NULL CHECK (token ~ '^[A-Za-z0-9_-]+$' AND length(token) <= 256),
	key_authorization text NOT NULL,
	fence             bigint NOT NULL,
	created_at        timestamptz NOT NULL DEFAULT now(),
	expires_at        timestamptz NOT NULL,
	seen_at           timestamptz,
	UNIQUE (name, type, token)
);
CREATE INDEX challenges_expiry ON challenges (expires_at);

-- Failure memory: what went wrong for a name, by cause. A success deletes the name's rows.
CREATE TABLE failures (
	name     text NOT NULL,
	cause    text NOT NULL,
	count    integer NOT NULL DEFAULT 1,
	first_at timestamptz NOT NULL DEFAULT now(),
	last_at  timestamptz NOT NULL DEFAULT now(),
	retry_at timestamptz NOT NULL,
	detail   text NOT NULL,
	PRIMARY KEY (name, cause)
);

-- One account per CA for the whole fleet; key sealed: kind account_key, name = directory, version 1.
CREATE TABLE ca_accounts (
	directory   text PRIMARY KEY,
	key_sealed  bytea,
	account_url text,
	contact     text,
	created_at  timestamptz NOT NULL DEFAULT now(),
	fence       bigint NOT NULL DEFAULT 0,
	lease_owner text,
	lease_until timestamptz
);

-- Dashboard sessions: only a hash of the cookie is kept.
CREATE TABLE sessions (
	token_hash bytea PRIMARY KEY,
	created_at timestamptz NOT NULL DEFAULT now(),
	expires_at timestamptz NOT NULL
);

-- Is a stored certificate of this name not to be served? A name without a row (foreign ask endpoint) is not
-- suspended; a pending claim blocks nobody.
CREATE FUNCTION site_blocked(p_name text) RETURNS boolean
LANGUAGE sql STABLE AS $$
	SELECT EXISTS (SELECT 1 FROM domains WHERE name = p_name AND status IN ('suspended', 'released'))
	   AND NOT EXISTS (SELECT 1 FROM domains WHERE name = p_name AND status IN ('active', 'drifted'))
$$;

-- Asks for a certificate: wakes the issuer unless one is already at work, and returns the job's state. A failed
-- job waits for its time, except that a fresh proof that the customer's DNS is right (pre_issue) may bring it
-- forward where the customer's side was the cause, at most every 12 minutes (the CA allows 5 failures an hour).
-- A routine renewal that is still queued becomes urgent when somebody waits for the name.
CREATE FUNCTION enqueue_issuance(p_name text, p_reason text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
	v_state text;
BEGIN
	INSERT INTO issuance_jobs AS j (name, state, reason)
	VALUES (p_name, 'queued', p_reason)
	ON CONFLICT (name) DO UPDATE
	   SET state = 'queued', reason = EXCLUDED.reason, requested_at = clock_timestamp(),
	       next_try_at = clock_timestamp()
	 WHERE j.state = 'idle'
	    OR (j.state = 'queued' AND j.reason = 'renewal' AND p_reason <> 'renewal')
	    OR (j.state = 'failed' AND (j.next_try_at <= clock_timestamp()
	        OR (p_reason = 'pre_issue' AND j.last_cause IN ('dns', 'connection', 'tls', 'unauthorized')
	            AND (j.attempts < 2 OR j.last_try_at < clock_timestamp() - interval '12 minutes'))))
	RETURNING j.state INTO v_state;
	IF FOUND THEN
		PERFORM pg_notify('postern_job', p_name);
		RETURN v_state;
	END IF;
	SELECT state INTO v_state FROM issuance_jobs WHERE name = p_name;
	RETURN v_state;
END
$$;

-- Hints for the edges: a certificate or a domain changed.
CREATE FUNCTION notify_name() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_notify(TG_ARGV[0], COALESCE(NEW.name, OLD.name));
	RETURN NULL;
END
$$;
CREATE TRIGGER certificates_notify AFTER INSERT OR UPDATE OR DELETE ON certificates
	FOR EACH ROW EXECUTE FUNCTION notify_name('postern_site');
CREATE TRIGGER domains_notify_status AFTER UPDATE OF status ON domains
	FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION notify_name('postern_site');
CREATE TRIGGER domains_notify_rows AFTER INSERT OR DELETE ON domains
	FOR EACH ROW EXECUTE FUNCTION notify_name('postern_site');
-- A failed job tells who waits for it.
CREATE TRIGGER issuance_jobs_notify AFTER UPDATE OF state ON issuance_jobs
	FOR EACH ROW WHEN (NEW.state = 'failed') EXECUTE FUNCTION notify_name('postern_site');

-- Grants: each daemon only what it needs. The roles exist (postern migrate makes them); README.md has the matrix.
-- A trigger's function runs without a grant. A database that was upgraded from PostgreSQL 14 lets everybody create
-- in public, where a function that runs with its owner's rights looks names up.
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO postern_edge, postern_acme, postern_verifier;
GRANT SELECT ON schema_migrations TO postern_edge, postern_acme, postern_verifier;
GRANT EXECUTE ON FUNCTION site_blocked(text) TO postern_edge, postern_acme, postern_verifier;
GRANT EXECUTE ON FUNCTION enqueue_issuance(text, text) TO postern_edge, postern_acme, postern_verifier;

GRANT SELECT ON certificates TO postern_edge;
GRANT SELECT (name, status) ON domains TO postern_edge;
GRANT SELECT (name, state, next_try_at, last_cause, last_try_at, attempts) ON issuance_jobs TO postern_edge;
GRANT SELECT (id, name, type, token, key_authorization, expires_at, seen_at), UPDATE (seen_at) ON challenges
	TO postern_edge;

GRANT SELECT, INSERT, UPDATE ON certificates, issuance_jobs, ca_accounts TO postern_acme;
GRANT SELECT, INSERT, UPDATE, DELETE ON challenges, failures TO postern_acme;
GRANT SELECT (name, status) ON domains TO postern_acme;
GRANT USAGE ON SEQUENCE fences TO postern_acme;

GRANT SELECT, INSERT ON tenants TO postern_verifier;
GRANT SELECT, INSERT, DELETE ON domains, sessions TO postern_verifier;
GRANT UPDATE (status, points_here, verified_at, status_changed_at, checks, next_check_at, check_lease_until) ON domains
	TO postern_verifier;
GRANT SELECT, INSERT ON domain_checks, domain_events TO postern_verifier;
GRANT DELETE ON domain_checks TO postern_verifier;
GRANT SELECT (name, version, issuer, serial, directory, not_before, not_after, renew_at, stored_at) ON certificates
	TO postern_verifier;
GRANT SELECT (name, state, reason, requested_at, next_try_at, attempts, last_cause, last_error, last_try_at, finished_at)
	ON issuance_jobs TO postern_verifier;
GRANT SELECT ON failures TO postern_verifier;
