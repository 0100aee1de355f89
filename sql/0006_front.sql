-- Names whose TLS is passed on unopened (the option passthrough of their domain's row): they need no certificate
-- of ours, and no CA could validate one by TLS, since such probes are passed on as well.
CREATE FUNCTION site_is_passed(p_name text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
	SELECT COALESCE((SELECT options ? 'passthrough' FROM domains
	  WHERE name IN (p_name, '*' || substr(p_name, strpos(p_name, '.'))) AND status IN ('active', 'drifted')
	  ORDER BY name <> p_name LIMIT 1), false)
$$;
REVOKE ALL ON FUNCTION site_is_passed(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION site_is_passed(text) TO postern_acme;
