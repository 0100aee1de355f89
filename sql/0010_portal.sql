-- Links by which an operator's customers enter the dashboard, and finding a domain by a piece of its name.

-- One row per link: only its SHA-256 is kept (with the admin token's, like a session's). It opens one session, and
-- that ends with it: when the link is revoked, or the token that made it (NULL: the admin token) is, or expires.
CREATE TABLE portal_links (
	id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	token_hash bytea NOT NULL UNIQUE CHECK (length(token_hash) = 32),
	tenant     text NOT NULL REFERENCES tenants (id),
	return_url text CHECK (length(return_url) <= 2000),
	token_id   bigint REFERENCES api_tokens (id),
	created_at timestamptz NOT NULL DEFAULT now(),
	created_by text NOT NULL,
	expires_at timestamptz NOT NULL,
	opened_at  timestamptz,
	revoked_at timestamptz
);
CREATE INDEX portal_links_tenant ON portal_links (tenant, id);
CREATE INDEX portal_links_made ON portal_links (created_at);

-- A session without either is the admin token's: so one never outlives what it came from.
ALTER TABLE sessions
	ADD COLUMN portal_link bigint REFERENCES portal_links (id) ON DELETE CASCADE,
	ADD CHECK (token_id IS NULL OR portal_link IS NULL);
CREATE INDEX sessions_portal ON sessions (portal_link) WHERE portal_link IS NOT NULL;

-- The beginnings of the words of a name (between its dots and hyphens), of four lengths: what a search looks for. As
-- elements of their own, not as prefixes of elements, so that the planner knows how common each is: common ones are
-- met soon in the order of names, rare ones come from the index. Dear, so that a cheap condition beside it is looked at
-- first. Without a pending list, whose end some insert would have to wait for.
CREATE FUNCTION domain_words(p_name text) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 1000 AS $$
	SELECT COALESCE(array_agg(DISTINCT left(word, size)), '{}')
	  FROM unnest(string_to_array(translate(p_name, '-', '.'), '.')) AS word, unnest('{2,4,7,12}'::integer[]) AS size
	 WHERE length(word) >= size
$$;
CREATE INDEX domains_words ON domains USING gin (domain_words(name)) WITH (fastupdate = off);

REVOKE ALL ON portal_links FROM PUBLIC;
REVOKE ALL ON FUNCTION domain_words(text) FROM PUBLIC;
GRANT SELECT, INSERT, DELETE, UPDATE (opened_at, revoked_at) ON portal_links TO postern_verifier;
GRANT EXECUTE ON FUNCTION domain_words(text) TO postern_verifier;
