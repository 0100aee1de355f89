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

GRANT SELECT (tenant, options) ON domains TO postern_edge;
GRANT UPDATE (options) ON domains TO postern_verifier;
GRANT SELECT (source) ON certificates TO postern_verifier;
