-- What the edges have seen of a name, asked for when somebody wants it explained: a notification on postern_explain with
-- the name, and each edge answers with a row. So what is seen costs the database nothing, junk names least of all. Nothing
-- here outlives a crash of the server, nor need it.
CREATE UNLOGGED TABLE handshakes (
	name        text NOT NULL CHECK (length(name) BETWEEN 1 AND 253),
	node        text NOT NULL REFERENCES nodes (id) ON DELETE CASCADE,
	answered_at timestamptz NOT NULL,
	seen        json NOT NULL CHECK (length(seen::text) <= 8192),
	PRIMARY KEY (name, node)
);
CREATE INDEX handshakes_answered ON handshakes (answered_at);

-- An edge answers for itself; what is older than five minutes has been read.
CREATE FUNCTION handshakes_answer(p_node text, p_names text[], p_seen text[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
	DELETE FROM handshakes WHERE answered_at < clock_timestamp() - interval '5 minutes';
	INSERT INTO handshakes (name, node, answered_at, seen)
	SELECT u.name, p_node, clock_timestamp(), u.seen::json FROM unnest(p_names, p_seen) AS u (name, seen)
	 WHERE EXISTS (SELECT 1 FROM nodes WHERE id = p_node AND role = 'edge') ORDER BY u.name
	ON CONFLICT (name, node) DO UPDATE SET answered_at = EXCLUDED.answered_at, seen = EXCLUDED.seen;
$$;

REVOKE ALL ON handshakes FROM PUBLIC;
REVOKE ALL ON FUNCTION handshakes_answer(text, text[], text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION handshakes_answer(text, text[], text[]) TO postern_edge;
GRANT SELECT ON handshakes TO postern_verifier;
