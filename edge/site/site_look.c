/*
 * What the database knows of names: each one's certificate or its wildcard's, its owner's options, its job;
 * and whether what is in memory is still that.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "edge/loop/name_hash.h"
#include "edge/site/site_store_internal.h"

/* Names under one wildcard that it does not serve: with more of them each name is looked up for itself. */
enum { EXCEPTIONS_MAX = 65536 };

/* The same for the wildcards above them; of a wildcard it is itself, and where there may be none it is empty.
 */
static char *wildcards_literal(
    struct site_store *store, const struct hostname *names, size_t stride, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct hostname *name = (const void *)((const char *)names + i * stride);

		if (name->text[0] == '*')
			store->wildcards[i] = *name;
		else if (!hostname_wildcard(&store->wildcards[i], name->text))
			store->wildcards[i].text[0] = '\0';
	}
	return site_store_names(store->wildcards, sizeof *store->wildcards, count);
}

/* Of each name the owner who may say how it is served; its certificate, or that of the wildcard above it,
 * whichever goes first (certificate_rank), a tenant's for this tenant's names alone; and whether all names
 * under the wildcard that have nothing of their own are served by what is read here. */
#define FROM_NAMES \
	" FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS q (name, wildcard, place)" \
	" LEFT JOIN LATERAL (SELECT name, tenant, options FROM domains WHERE name IN (q.name, q.wildcard)" \
	"   AND status IN ('active', 'drifted') ORDER BY name <> q.name LIMIT 1) d ON true" \
	" LEFT JOIN LATERAL (SELECT * FROM certificates WHERE name IN (q.name, q.wildcard)" \
	"   AND (tenant IS NULL OR tenant = d.tenant)" \
	"   ORDER BY certificate_rank(name = q.name, source, tenant, removed_at, not_after) LIMIT 1) c ON " \
	"true" \
	" CROSS JOIN LATERAL (SELECT c.name = q.wildcard AND NOT EXISTS (SELECT 1 FROM domains o" \
	"   WHERE o.name = q.name AND q.name <> q.wildcard AND o.status <> 'pending') AS shared) s"
/* May the host that the options redirect to be redirected to? A row of the same tenant stands for it, its own
 * or its wildcard's, and does not redirect itself: so redirects never go round in circles, and lead nobody to
 * a stranger. Null where nothing is redirected. */
#define REDIRECT_LEADS \
	"(SELECT coalesce((SELECT t.tenant = d.tenant AND NOT t.options ? 'redirect' FROM domains t" \
	"   WHERE t.name IN (r.host, regexp_replace(r.host, '^[^.]+', '*')) AND t.status IN ('active', " \
	"'drifted')" \
	"   ORDER BY t.name <> r.host LIMIT 1), false)" \
	" FROM (SELECT coalesce(d.options #>> '{redirect,host}', d.options ->> 'redirect') AS host) r" \
	" WHERE d.options ? 'redirect')"
/* Does the owner have its TLS passed on? Then it needs no certificate. */
#define PASSED "coalesce(d.options ? 'passthrough', false)"
/* What becomes another when something else than the certificate's version does; of a site that is shared,
 * with the names that it does not serve. */
#define MARK "hashtextextended(concat_ws(' ', c.name, d.name, d.tenant, d.options, " REDIRECT_LEADS "), 0)"
#define MARK_OF_EXCEPTIONS "hashtextextended(coalesce(sum(hashtextextended(e, 0))::text, ''), 0)"

/* One a line. The text of a jsonb holds no newline. */
#define OPTIONS "(SELECT string_agg(jsonb_build_object(key, value)::text, E'\\n') FROM jsonb_each(d.options))"

/* The columns of look_sql. */
enum {
	LOOK_PLACE,
	LOOK_BLOCKED,
	LOOK_CERTIFICATE,
	LOOK_VERSION,
	LOOK_CHAIN,
	LOOK_KEY,
	LOOK_SHARED,
	LOOK_MARK,
	LOOK_TENANT,
	LOOK_OPTIONS,
	LOOK_REDIRECT_LEADS,
	LOOK_PASSED,
	LOOK_JOB,
	LOOK_JOB_WAITS,
	LOOK_JOB_RECHECK,
};

/* The time of a re-check is the one that enqueue_issuance keeps; one that is foreseen costs the CA nothing.
 */
static const char look_sql[] =
    "SELECT q.place, site_blocked(q.name), c.name, c.version, c.chain_pem, c.key_sealed, s.shared, " MARK ","
    " d.tenant, " OPTIONS ", " REDIRECT_LEADS ", " PASSED ", j.state, j.next_try_at > clock_timestamp(),"
    " CASE WHEN j.foreseen THEN j.last_try_at < clock_timestamp() - interval '15 seconds'"
    " ELSE j.last_cause IN ('dns', 'connection', 'tls', 'unauthorized')"
    " AND j.last_try_at < clock_timestamp() - interval '12 minutes' END" FROM_NAMES
    " LEFT JOIN issuance_jobs j ON j.name = q.name";

/* A batch on its way from the database into rows. */
struct look {
	struct site_store *store;
	struct site_row *rows;
	size_t count;
	int64_t deadline_ms;
	const PGresult *found;
};

/* What a wildcard's site is not for. */
struct exceptions {
	uint64_t *hashes;
	size_t count;
	int64_t mark;
};

static void split_names(struct exceptions *exceptions, char *names)
{
	char *rest = NULL;

	exceptions->hashes = mem_alloc_array(exceptions->count, sizeof *exceptions->hashes);
	exceptions->count = 0;
	for (char *name = strtok_r(names, " ", &rest); name; name = strtok_r(NULL, " ", &rest))
		exceptions->hashes[exceptions->count++] = name_hash(name);
}

/* R_LIMIT: there are too many to be kept. */
static enum result load_exceptions(
    struct look *look, const char *wildcard, struct exceptions *out, struct error *error)
{
	static const char sql[] = "SELECT count(*), " MARK_OF_EXCEPTIONS ", string_agg(e, ' ')"
				  " FROM (SELECT e FROM site_exceptions($1) AS e LIMIT $2::integer) AS found";
	const struct pg_param params[] = {pg_text(wildcard), pg_int(EXCEPTIONS_MAX + 1)};
	int64_t left = look->deadline_ms - clock_monotonic_ms();
	PGresult *found = NULL;
	enum result result =
	    site_store_run(look->store, left > 0 ? (int)left : 0, &found, error, sql, params, 2);

	*out = (struct exceptions){0};
	if (result != R_OK)
		return result;
	out->count = (size_t)pg_get_int(found, 0, 0);
	out->mark = pg_get_int(found, 0, 1);
	if (out->count > EXCEPTIONS_MAX)
		result = R_LIMIT;
	else if (out->count > 0)
		split_names(out, PQgetvalue(found, 0, 2));
	PQclear(found);
	return result;
}

static void judge_row(struct look *look, struct site_row *row, int at, const char *name, int64_t extra_mark)
{
	struct site_raw raw = {
	    .name = name,
	    .certificate = pg_get(look->found, at, LOOK_CERTIFICATE),
	    .stamp = {pg_get_int(look->found, at, LOOK_VERSION),
		pg_get_int(look->found, at, LOOK_MARK) ^ extra_mark},
	    .pem = pg_get(look->found, at, LOOK_CHAIN),
	    .tenant = pg_get(look->found, at, LOOK_TENANT),
	    .options = pg_get(look->found, at, LOOK_OPTIONS),
	    .redirect_leads = pg_get_bool(look->found, at, LOOK_REDIRECT_LEADS),
	};
	unsigned char *sealed = pg_get_bytes(look->found, at, LOOK_KEY, &raw.sealed_size);

	raw.sealed = sealed;
	row->site = site_judge_row(look->store->judge, &raw);
	row->standing = row->site ? SITE_USABLE : raw.certificate ? SITE_UNUSABLE : SITE_ABSENT;
	free(sealed);
}

/* Of many invented names in one batch the first makes the site, the others share it. */
static bool share_with_earlier(struct look *look, struct site_row *row, const char *wildcard)
{
	for (size_t i = 0; i < look->count; i++) {
		if (!look->rows[i].site || strcmp(look->rows[i].site->name.text, wildcard) != 0)
			continue;
		row->site = site_ref(look->rows[i].site);
		row->standing = SITE_USABLE;
		return true;
	}
	return false;
}

static enum result fill_shared(struct look *look, struct site_row *row, int at, struct error *error)
{
	const char *wildcard = pg_get(look->found, at, LOOK_CERTIFICATE);
	struct exceptions exceptions;

	if (share_with_earlier(look, row, wildcard))
		return R_OK;
	enum result result = load_exceptions(look, wildcard, &exceptions, error);
	if (result == R_LIMIT && strcmp(row->name.text, wildcard) != 0)
		judge_row(look, row, at, row->name.text, 0);
	if (result != R_OK)
		return result == R_LIMIT ? R_OK : result;
	judge_row(look, row, at, wildcard, exceptions.mark);
	if (row->site)
		site_set_exceptions(row->site, exceptions.hashes, exceptions.count);
	else
		free(exceptions.hashes);
	return R_OK;
}

static enum result fill_row(struct look *look, struct site_row *row, int at, struct error *error)
{
	row->issuance = site_store_issuance(pg_get(look->found, at, LOOK_JOB),
	    pg_get_bool(look->found, at, LOOK_JOB_WAITS), pg_get_bool(look->found, at, LOOK_JOB_RECHECK));
	if (pg_get_bool(look->found, at, LOOK_BLOCKED))
		row->standing = SITE_BLOCKED;
	else if (pg_get_bool(look->found, at, LOOK_SHARED))
		return fill_shared(look, row, at, error);
	else if (pg_get(look->found, at, LOOK_CERTIFICATE) || pg_get_bool(look->found, at, LOOK_PASSED))
		judge_row(look, row, at, row->name.text, 0);
	return R_OK;
}

static enum result fill_rows(struct look *look, struct error *error)
{
	enum result result = R_OK;
	size_t index = 0;

	for (int at = 0; at < PQntuples(look->found) && result == R_OK; at++) {
		if (site_store_row_index(look->found, at, look->count, &index) && !look->rows[index].site)
			result = fill_row(look, &look->rows[index], at, error);
	}
	for (size_t i = 0; i < look->count && result != R_OK; i++) {
		site_unref(look->rows[i].site);
		look->rows[i].site = NULL;
	}
	return result;
}

enum result site_store_load(
    struct site_store *store, struct site_row *rows, size_t count, int timeout_ms, struct error *error)
{
	int64_t deadline = clock_monotonic_ms() + timeout_ms;
	PGresult *found = NULL;

	assert(count <= SITE_STORE_BATCH);
	for (size_t i = 0; i < count; i++) {
		rows[i].epoch = site_cache_epoch(store->cache, rows[i].name.text);
		rows[i].standing = SITE_ABSENT;
		rows[i].issuance = ISSUANCE_NONE;
		rows[i].site = NULL;
	}
	char *names = site_store_names(&rows->name, sizeof *rows, count);
	char *wildcards = wildcards_literal(store, &rows->name, sizeof *rows, count);
	const struct pg_param params[] = {pg_text(names), pg_text(wildcards)};
	enum result result = site_store_run(store, timeout_ms, &found, error, look_sql, params, 2);
	free(names);
	free(wildcards);
	struct look look = {store, rows, count, deadline, found};
	if (result == R_OK)
		result = fill_rows(&look, error);
	PQclear(found);
	return result;
}

enum result site_store_stamps(struct site_store *store, const struct hostname *names,
    struct site_stamp *stamps, size_t count, int timeout_ms, struct error *error)
{
	static const char sql[] =
	    "SELECT q.place, coalesce(c.version, 0), " MARK
	    " # CASE WHEN s.shared AND q.name = q.wildcard THEN"
	    " (SELECT " MARK_OF_EXCEPTIONS " FROM site_exceptions(q.name) AS e) ELSE 0 END" FROM_NAMES
	    " WHERE (c.name IS NOT NULL OR " PASSED ") AND NOT site_blocked(q.name)";
	PGresult *found = NULL;
	size_t index = 0;

	char *literal = site_store_names(names, sizeof *names, count);
	char *wildcards = wildcards_literal(store, names, sizeof *names, count);
	const struct pg_param params[] = {pg_text(literal), pg_text(wildcards)};
	enum result result = site_store_run(store, timeout_ms, &found, error, sql, params, 2);
	free(literal);
	free(wildcards);
	if (result != R_OK)
		return result;
	for (size_t i = 0; i < count; i++)
		stamps[i] = (struct site_stamp){.version = -1};
	for (int at = 0; at < PQntuples(found); at++) {
		if (site_store_row_index(found, at, count, &index))
			stamps[index] =
			    (struct site_stamp){pg_get_int(found, at, 1), pg_get_int(found, at, 2)};
	}
	PQclear(found);
	return R_OK;
}
