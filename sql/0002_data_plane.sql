-- What the edge's data plane needs: options of a domain, certificates that no CA job made, and names under a
-- wildcard.

-- Options that belong to a name: a JSON object of known keys (edge/README.md lists them). An edge ignores what it
-- does not know, and says so, so that an option can be stored before every edge understands it.
ALTER TABLE domains ADD COLUMN options jsonb NOT NULL DEFAULT '{}'
	CHECK (jsonb_typeof(options) = 'object' AND length(options::text) <= 16384);

-- Where the certificate comes from: 'acme' is renewed by the issuer, 'upload' is the operator's or the customer's
-- own and never touched by it.
ALTER TABLE certificates ADD COLUMN source text NOT NULL DEFAULT 'acme' CHECK (source IN ('acme', 'upload'));

CREATE TRIGGER domains_notify_options AFTER UPDATE OF options ON domains
	FOR EACH ROW WHEN (OLD.options IS DISTINCT FROM NEW.options) EXECUTE FUNCTION notify_name('postern_site');

-- A certificate for `*.example.com` serves every name with one more label that has nothing of its own. What has: names
-- with a certificate, and claims that were proven once. An edge that serves by the wildcard knows these names, so
-- that a stranger's invented names cost no look-up.
CREATE INDEX certificates_parent ON certificates (substr(name, strpos(name, '.')));
CREATE INDEX domains_parent ON domains (substr(name, strpos(name, '.')));
CREATE FUNCTION site_exceptions(p_wildcard text) RETURNS SETOF text
LANGUAGE sql STABLE AS $$
	SELECT name FROM certificates
	 WHERE substr(name, strpos(name, '.')) = substr(p_wildcard, 2) AND name <> p_wildcard
	UNION
	SELECT name FROM domains
	 WHERE substr(name, strpos(name, '.')) = substr(p_wildcard, 2) AND name <> p_wildcard AND status <> 'pending'
$$;

-- As before, and where a name has no proven claim of its own, the wildcard's counts.
CREATE OR REPLACE FUNCTION site_blocked(p_name text) RETURNS boolean
LANGUAGE sql STABLE AS $$
	SELECT COALESCE(
		(SELECT bool_and(status IN ('suspended', 'released')) FROM domains
		  WHERE name = p_name AND status <> 'pending'),
		(SELECT bool_and(status IN ('suspended', 'released')) FROM domains
		  WHERE name = '*' || substr(p_name, strpos(p_name, '.')) AND status <> 'pending'),
		false)
$$;

REVOKE ALL ON FUNCTION site_exceptions(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION site_exceptions(text) TO postern_edge;
GRANT SELECT (tenant, options) ON domains TO postern_edge;
GRANT UPDATE (options) ON domains TO postern_verifier;
GRANT SELECT (source) ON certificates TO postern_verifier;

-- The keys that seal session tickets, one row a generation, so that a client resumes on whichever node it reaches.
-- Sealed: kind ticket_key, name 'ticket_keys', version = generation. An edge may add the next one, and only when the
-- newest has grown old; of several that try, one succeeds. To change them at once, delete all rows.
CREATE TABLE ticket_keys (
	generation bigint PRIMARY KEY,
	key_sealed bytea NOT NULL CHECK (length(key_sealed) <= 1024),
	made_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE FUNCTION add_ticket_key(p_generation bigint, p_key_sealed bytea) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
	INSERT INTO ticket_keys (generation, key_sealed)
	SELECT p_generation, p_key_sealed
	 WHERE p_generation = COALESCE((SELECT max(generation) FROM ticket_keys), 0) + 1
	   AND NOT EXISTS (SELECT 1 FROM ticket_keys WHERE made_at BETWEEN clock_timestamp() - interval '10 hours'
	                                                           AND clock_timestamp() + interval '5 minutes')
	ON CONFLICT DO NOTHING;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	DELETE FROM ticket_keys WHERE generation <= p_generation - 3;
	RETURN true;
END
$$;
REVOKE ALL ON ticket_keys FROM PUBLIC;
REVOKE ALL ON FUNCTION add_ticket_key(bigint, bytea) FROM PUBLIC;
GRANT SELECT ON ticket_keys TO postern_edge;
GRANT EXECUTE ON FUNCTION add_ticket_key(bigint, bytea) TO postern_edge;
