-- Certificates that customers bring: whose they are, which one serves a name, when they end, and what comes then.

-- `tenant`: who uploaded it, whose names alone it serves; NULL: it is the issuer's work, or the operator's. A wildcard
-- of a tenant's serves those names under it that the tenant has proven, each by itself, and no others.
-- `removed_at`: its owner wants it gone. It is served until what takes its place is there; a host name's is the
-- issuer's to replace from then on (source 'acme'), a wildcard's waits until no name needs it.
-- `warned_days`: the last warning was that so many days are left.
ALTER TABLE certificates
	ADD COLUMN tenant text REFERENCES tenants (id),
	ADD COLUMN removed_at timestamptz,
	ADD COLUMN warned_days integer,
	ADD CONSTRAINT certificates_tenant_check CHECK (tenant IS NULL OR source = 'upload' OR removed_at IS NOT NULL);
CREATE INDEX certificates_uploads ON certificates (not_after) WHERE source = 'upload';
-- The next in rank may serve from then on.
CREATE TRIGGER certificates_notify_removed AFTER UPDATE OF removed_at ON certificates
	FOR EACH ROW WHEN (OLD.removed_at IS DISTINCT FROM NEW.removed_at) EXECUTE FUNCTION notify_name('postern_site');
CREATE INDEX certificates_removed ON certificates (removed_at) WHERE removed_at IS NOT NULL;

-- Of the certificates that may serve a name (its own and its wildcard's) the one with the least rank does: one that is
-- valid before one whose owner wants it gone, that before one that has expired; and of these what was brought for the
-- name, what its tenant brought for all beside it, what the issuer made, the operator's wildcard.
CREATE FUNCTION certificate_rank(p_is_own boolean, p_source text, p_tenant text, p_removed_at timestamptz,
	p_not_after timestamptz) RETURNS integer
LANGUAGE sql STABLE AS $$
	SELECT CASE WHEN p_not_after <= now() THEN 8 WHEN p_removed_at IS NOT NULL THEN 4 ELSE 0 END
	     + CASE WHEN p_is_own THEN CASE p_source WHEN 'upload' THEN 0 ELSE 2 END WHEN p_tenant IS NULL THEN 3 ELSE 1 END
$$;

-- Does the name's owner, or for this name the operator, have a certificate of their own for it? Then the issuer makes none.
CREATE FUNCTION site_has_upload(p_name text) RETURNS boolean
LANGUAGE sql STABLE AS $$
	SELECT EXISTS (SELECT 1 FROM certificates c
	  WHERE c.name IN (p_name, '*' || substr(p_name, strpos(p_name, '.')))
	    AND c.source = 'upload' AND c.removed_at IS NULL AND c.not_after > now()
	    AND ((c.tenant IS NULL AND c.name = p_name) OR c.tenant = (SELECT d.tenant FROM domains d
	         WHERE d.name = p_name AND d.status IN ('active', 'drifted', 'suspended'))))
$$;

-- Whoever becomes the owner of a name does not inherit what its former owner uploaded, and knows the key of.
CREATE FUNCTION drop_former_upload() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
	DELETE FROM certificates WHERE name = NEW.name AND tenant <> NEW.tenant;
	RETURN NULL;
END
$$;
CREATE TRIGGER domains_former_upload AFTER INSERT OR UPDATE OF status ON domains
	FOR EACH ROW WHEN (NEW.status = 'active') EXECUTE FUNCTION drop_former_upload();

-- For which rows an upload is: of the certificate's names (p_names) those that are owned within the scope, by p_tenant
-- where that is said. `*.x` is kept as a row where x is owned, unless what is there is the operator's; else for each
-- owned name under x. p_asked: the names were asked for one by one; then a wildcard is not for the names under it, and
-- the operator may ask for what nobody has claimed. Names of the platform are the operator's alone, and no tenant's.
CREATE FUNCTION upload_names(p_scope text, p_tenant text, p_names text[], p_asked boolean, OUT name text,
	OUT tenant text) RETURNS SETOF record
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
	WITH asked AS (SELECT n AS name, n LIKE '*.%' AS is_wildcard FROM unnest(p_names) AS n),
	owned AS (
		SELECT DISTINCT ON (a.name) a.name, CASE d.kind WHEN 'customer' THEN d.tenant END AS tenant
		  FROM asked a JOIN domains d ON d.name IN (a.name, CASE WHEN a.is_wildcard THEN substr(a.name, 3) END)
		 WHERE d.status IN ('active', 'drifted', 'suspended') AND (p_tenant IS NULL OR d.tenant = p_tenant)
		   AND (p_scope IS NULL OR (d.tenant = p_scope AND d.kind = 'customer' AND NOT (a.is_wildcard AND EXISTS
		        (SELECT 1 FROM certificates c WHERE c.name = a.name AND c.tenant IS NULL))))
		 ORDER BY a.name, d.name <> a.name
	)
	SELECT o.name, o.tenant FROM owned o
	UNION
	SELECT d.name, CASE d.kind WHEN 'customer' THEN d.tenant END
	  FROM asked a JOIN domains d ON substr(d.name, strpos(d.name, '.')) = substr(a.name, 2) AND d.name <> a.name
	 WHERE NOT p_asked AND a.is_wildcard AND d.status IN ('active', 'drifted', 'suspended')
	   AND (p_tenant IS NULL OR d.tenant = p_tenant)
	   AND (p_scope IS NULL OR (d.tenant = p_scope AND d.kind = 'customer'))
	   AND NOT EXISTS (SELECT 1 FROM owned o WHERE o.name = a.name)
	UNION
	SELECT a.name, NULL FROM asked a
	 WHERE p_asked AND p_scope IS NULL AND p_tenant IS NULL AND NOT EXISTS (SELECT 1 FROM owned o WHERE o.name = a.name)
	ORDER BY 1
$$;

-- Keys are sealed for name and version before they come here.
CREATE FUNCTION upload_version() RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$ SELECT nextval('fences') $$;

-- Stores a certificate for rows that upload_names named, all or none; p_sealed: the key sealed for each, in hex.
-- Whose the names are is looked at again, and stays so until the end of the transaction. Outcomes: added, replaced (each of
-- them was an upload), barred (others know the key), lost (a name is another's by now), late (a newer one is there).
CREATE FUNCTION upload_store(p_scope text, p_actor text, p_remote text, p_names text[], p_tenants text[],
	p_sealed text[], p_version bigint, p_key_id text, p_spki_sha256 bytea, p_chain text, p_issuer text, p_serial text,
	p_not_before bigint, p_not_after bigint) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
	v_replaced bigint;
	v_stored   bigint;
BEGIN
	IF EXISTS (SELECT 1 FROM barred_keys WHERE spki_sha256 = p_spki_sha256) THEN
		RETURN 'barred';
	END IF;
	PERFORM 1 FROM domains WHERE status IN ('active', 'drifted', 'suspended') AND name IN
	        (SELECT unnest(ARRAY[n, CASE WHEN n LIKE '*.%' THEN substr(n, 3) END]) FROM unnest(p_names) AS n)
	  ORDER BY name FOR SHARE;
	IF EXISTS (SELECT name, NULLIF(tenant, '') FROM unnest(p_names, p_tenants) AS u (name, tenant)
	           EXCEPT SELECT name, tenant FROM upload_names(p_scope, NULL, p_names, true)) THEN
		RETURN 'lost';
	END IF;
	SELECT count(*) INTO v_replaced FROM certificates WHERE name = ANY (p_names) AND source = 'upload';
	INSERT INTO certificates AS c (name, tenant, version, chain_pem, key_sealed, key_id, issuer, serial, directory,
	                               not_before, not_after, renew_at, source)
	SELECT u.name, NULLIF(u.tenant, ''), p_version, p_chain, decode(u.sealed, 'hex'), p_key_id, p_issuer, p_serial,
	       'upload', to_timestamp(p_not_before), to_timestamp(p_not_after), 'infinity', 'upload'
	  FROM unnest(p_names, p_tenants, p_sealed) AS u (name, tenant, sealed) ORDER BY u.name
	ON CONFLICT (name) DO UPDATE SET tenant = EXCLUDED.tenant, version = EXCLUDED.version,
	       chain_pem = EXCLUDED.chain_pem, key_sealed = EXCLUDED.key_sealed, key_id = EXCLUDED.key_id,
	       issuer = EXCLUDED.issuer, serial = EXCLUDED.serial, directory = EXCLUDED.directory,
	       not_before = EXCLUDED.not_before, not_after = EXCLUDED.not_after, renew_at = EXCLUDED.renew_at,
	       source = EXCLUDED.source, stored_at = now(), account_url = NULL, revoked_at = NULL, revoked_reason = NULL,
	       renewal_claimed_until = NULL, ari_next_poll_at = NULL, ari_window_start = NULL, ari_window_end = NULL,
	       ari_explanation = NULL, removed_at = NULL, warned_days = NULL
	 WHERE c.version < EXCLUDED.version;
	GET DIAGNOSTICS v_stored = ROW_COUNT;
	IF v_stored < cardinality(p_names) THEN
		RAISE serialization_failure USING MESSAGE = 'a newer certificate is stored';
	END IF;
	INSERT INTO domain_events (tenant, name, event, actor, remote, detail)
	SELECT u.tenant, u.name, 'certificate_uploaded', p_actor, p_remote,
	       format('issued by %s, serial %s, valid until %s UTC', p_issuer, p_serial,
	              to_char(to_timestamp(p_not_after) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'))
	  FROM unnest(p_names, p_tenants) AS u (name, tenant);
	RETURN CASE WHEN v_replaced = cardinality(p_names) THEN 'replaced' ELSE 'added' END;
END
$$;

-- The names that a certificate serves and that have nothing else as good: its own, or those under it.
CREATE FUNCTION upload_needed_by(p_name text, p_tenant text) RETURNS SETOF text
LANGUAGE sql STABLE AS $$
	SELECT d.name FROM domains d
	 WHERE (d.name = p_name OR (p_name LIKE '*.%' AND substr(d.name, strpos(d.name, '.')) = substr(p_name, 2)))
	   AND d.status IN ('active', 'drifted') AND NOT d.options ? 'passthrough'
	   AND (p_tenant IS NULL OR d.tenant = p_tenant)
	   AND NOT EXISTS (SELECT 1 FROM certificates c
	        WHERE c.name IN (d.name, '*' || substr(d.name, strpos(d.name, '.'))) AND c.name <> p_name
	          AND c.removed_at IS NULL AND c.not_after > now() AND (c.tenant IS NULL OR c.tenant = d.tenant))
$$;

-- Removes an upload: at once where nothing needs it, or p_at_once; else when what takes its place is there, which is
-- ordered now. The job before the certificate, as the issuer locks them. p_version: the one that is meant; NULL: whichever
-- there is. Outcomes: none (that is the scope's), issued (it is the issuer's), removed, replacing.
CREATE FUNCTION upload_remove(p_scope text, p_actor text, p_remote text, p_name text, p_version bigint,
	p_at_once boolean) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
	v_row    record;
	v_owner  text;
	v_needed text[];
	v_goes   boolean;
BEGIN
	SELECT tenant, source, removed_at, version INTO v_row FROM certificates WHERE name = p_name;
	v_owner := COALESCE(v_row.tenant, (SELECT tenant FROM domains WHERE name = p_name AND kind = 'customer'
	                                   AND status IN ('active', 'drifted', 'suspended')));
	IF v_row.source IS NULL OR (p_scope IS NOT NULL AND p_scope IS DISTINCT FROM v_owner) THEN
		RETURN 'none';
	ELSIF v_row.source <> 'upload' AND v_row.removed_at IS NULL THEN
		RETURN 'issued';
	ELSIF v_row.version <> p_version THEN
		RAISE serialization_failure USING MESSAGE = 'another certificate was stored since';
	END IF;
	v_needed := ARRAY(SELECT n FROM upload_needed_by(p_name, v_row.tenant) AS n ORDER BY n);
	v_goes := p_at_once OR v_needed = '{}';
	PERFORM enqueue_issuance(n, CASE WHEN v_goes THEN 'first_hit' ELSE 'renewal' END) FROM unnest(v_needed) AS n;
	IF v_goes THEN
		DELETE FROM certificates WHERE name = p_name AND version = v_row.version;
	ELSE
		UPDATE certificates SET removed_at = COALESCE(removed_at, now()),
		       source = CASE WHEN p_name LIKE '*.%' THEN source ELSE 'acme' END,
		       renew_at = CASE WHEN p_name LIKE '*.%' THEN renew_at ELSE now() END
		 WHERE name = p_name AND version = v_row.version;
	END IF;
	IF NOT FOUND THEN
		RAISE serialization_failure USING MESSAGE = 'another certificate was stored at this moment';
	END IF;
	INSERT INTO domain_events (tenant, name, event, actor, remote, detail)
	SELECT COALESCE(v_owner, ''), p_name, 'certificate_removed', p_actor, p_remote,
	       CASE WHEN NOT v_goes THEN 'It is served until what takes its place is there.' END
	 WHERE v_row.removed_at IS NULL OR v_goes;
	RETURN CASE WHEN v_goes THEN 'removed' ELSE 'replacing' END;
END
$$;

-- What is to be done about uploads every now and then, by any verifier: their owners are warned before the end, when
-- webhooks are (webhook_expiry_after), and at it; a removed wildcard goes when no name needs it, and what needs it is ordered again. What the
-- issuer made for names that a wildcard serves is kept, but renewed only when that is gone. Returns the number of warnings.
CREATE FUNCTION upload_tend() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
	v_warned bigint;
BEGIN
	WITH near AS (
		SELECT c.name, COALESCE(c.tenant, (SELECT d.tenant FROM domains d WHERE d.name = c.name
		       AND d.status IN ('active', 'drifted', 'suspended')), '') AS tenant,
		       (SELECT min(t) FROM unnest(ARRAY[0, 1, 3, 10, 30]) AS t
		         WHERE c.not_after <= now() + t * interval '1 day') AS days
		  FROM certificates c WHERE c.source = 'upload' AND c.removed_at IS NULL
		   AND c.not_after <= now() + interval '30 days' AND c.warned_days IS DISTINCT FROM 0
		   AND webhook_expiry_after(c.not_before, c.not_after, '-infinity') <= now()
		   AND NOT site_blocked(c.name)
	), warned AS (
		UPDATE certificates c SET warned_days = n.days FROM near n
		 WHERE c.name = n.name AND (c.warned_days IS NULL OR c.warned_days > n.days)
		RETURNING n.tenant, c.name, n.days, c.not_after, c.issuer
	), told AS (
		INSERT INTO domain_events (tenant, name, event, actor, detail)
		SELECT tenant, name, CASE days WHEN 0 THEN 'certificate_expired' ELSE 'certificate_expiring' END, 'uploads',
		       format('The uploaded certificate, issued by %s, %s %s UTC: upload its successor.', issuer,
		              CASE days WHEN 0 THEN 'expired at' ELSE 'expires at' END,
		              to_char(not_after AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'))
		  FROM warned RETURNING 1
	) SELECT count(*) INTO v_warned FROM told;
	PERFORM enqueue_issuance(n.name, 'first_hit') FROM certificates c, upload_needed_by(c.name, c.tenant) AS n (name)
	 WHERE c.removed_at IS NOT NULL AND c.name LIKE '*.%' ORDER BY 1;
	DELETE FROM certificates c WHERE c.removed_at IS NOT NULL AND c.name LIKE '*.%'
	   AND NOT EXISTS (SELECT 1 FROM upload_needed_by(c.name, c.tenant));
	UPDATE certificates c SET renew_at = 'infinity', ari_next_poll_at = NULL FROM certificates w
	 WHERE w.source = 'upload' AND w.name LIKE '*.%' AND substr(c.name, strpos(c.name, '.')) = substr(w.name, 2)
	   AND c.source = 'acme' AND c.removed_at IS NULL AND c.renew_at < 'infinity' AND site_has_upload(c.name);
	UPDATE certificates SET renew_at = GREATEST(now(), not_before + (not_after - not_before) * 2 / 3)
	 WHERE source = 'acme' AND GREATEST(renew_at, renewal_claimed_until) = 'infinity' AND NOT site_has_upload(name);
	RETURN v_warned;
END
$$;

-- As before, and a wildcard's is whose it was uploaded for. What the audit trail says of an end to come is left out:
-- webhooks are told of it with what else they want to know, and of what was not uploaded as well.
CREATE OR REPLACE FUNCTION webhook_tenant(p_name text) RETURNS text
LANGUAGE sql STABLE AS $$
	SELECT COALESCE((SELECT tenant FROM certificates WHERE name = p_name),
		(SELECT tenant FROM domains WHERE name = p_name AND status IN ('active', 'drifted', 'suspended')), '')
$$;
CREATE OR REPLACE FUNCTION webhook_of_event() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
	IF EXISTS (SELECT 1 FROM webhooks WHERE state = 'on') THEN
		PERFORM webhook_emit(array_agg(webhook_type(e.event) ORDER BY e.id), array_agg(e.tenant ORDER BY e.id),
			array_agg(e.at ORDER BY e.id), array_agg(jsonb_build_object('event_id', e.id, 'tenant', NULLIF(e.tenant, ''),
			'name', e.name, 'actor', e.actor, 'detail', left(e.detail, 2000)) ORDER BY e.id))
		   FROM made e WHERE e.event <> 'certificate_expiring';
	END IF;
	RETURN NULL;
END
$$;

REVOKE ALL ON FUNCTION certificate_rank(boolean, text, text, timestamptz, timestamptz), site_has_upload(text),
	drop_former_upload(), upload_names(text, text, text[], boolean), upload_version(),
	upload_store(text, text, text, text[], text[], text[], bigint, text, bytea, text, text, text, bigint, bigint),
	upload_needed_by(text, text), upload_remove(text, text, text, text, bigint, boolean), upload_tend() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION certificate_rank(boolean, text, text, timestamptz, timestamptz)
	TO postern_edge, postern_verifier;
GRANT EXECUTE ON FUNCTION site_has_upload(text) TO postern_acme, postern_verifier;
GRANT EXECUTE ON FUNCTION upload_names(text, text, text[], boolean), upload_version(),
	upload_store(text, text, text, text[], text[], text[], bigint, text, bytea, text, text, text, bigint, bigint),
	upload_remove(text, text, text, text, bigint, boolean), upload_tend() TO postern_verifier;
GRANT SELECT (tenant, removed_at) ON certificates TO postern_verifier;
