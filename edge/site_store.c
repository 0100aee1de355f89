#include "edge/site_store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/mem.h"
#include "common/pg.h"
#include "common/schema.h"
#include "edge/name_hash.h"
#include "edge/site_judge.h"

/* Names under one wildcard that it does not serve: with more of them each name is looked up for itself. */
enum { EXCEPTIONS_MAX = 65536 };

struct site_store {
	struct pg *pg;
	struct site_judge *judge;
	struct site_cache *cache;
	bool down; /* the last statement found no database: the next ones need not wait for it */
	struct hostname wildcards[SITE_STORE_STAMPS]; /* of the names of the statement */
};

struct site_store *site_store_new(
    const char *conninfo, const struct seal_keys *keys, struct site_cache *cache)
{
	struct site_store *store = mem_alloc(sizeof *store);

	store->judge = site_judge_new(keys);
	store->cache = cache;
	store->pg = pg_new(conninfo, "postern-edge");
	return store;
}

void site_store_free(struct site_store *store)
{
	if (!store)
		return;
	pg_free(store->pg);
	site_judge_free(store->judge);
	free(store);
}

bool site_store_is_up(const struct site_store *store)
{
	return pg_is_ready(store->pg);
}

uint64_t site_store_generation(const struct site_store *store)
{
	return pg_generation(store->pg);
}

/* ---- statements ---- */

static enum result try_statement(struct site_store *store, int64_t deadline_ms, PGresult **out,
    struct error *error, const char *sql, const struct pg_param *params, int count)
{
	int64_t left = deadline_ms - clock_monotonic_ms();
	enum result result = pg_wait_ready(store->pg, left > 0 ? (int)left : 0, error);

	if (result != R_OK)
		return R_TIMEOUT;
	left = deadline_ms - clock_monotonic_ms();
	return left > 0 ? pg_query(store->pg, (int)left, out, error, sql, params, count) : R_TIMEOUT;
}

/* All statements here may run twice: a broken connection is tried again as long as there is time. */
static enum result run(struct site_store *store, int timeout_ms, PGresult **out, struct error *error,
    const char *sql, const struct pg_param *params, int count)
{
	int64_t deadline = clock_monotonic_ms() + timeout_ms;
	enum result result = R_DOWN;

	if (store->down && !pg_is_ready(store->pg)) {
		error_set(error, "the database cannot be reached");
		return R_DOWN;
	}
	while (result == R_DOWN)
		result = try_statement(store, deadline, out, error, sql, params, count);
	store->down = result == R_TIMEOUT;
	return result;
}

static char *names_literal(const struct hostname *names, size_t stride, size_t count)
{
	const char *texts[SITE_STORE_STAMPS];

	assert(count <= SITE_STORE_STAMPS);
	for (size_t i = 0; i < count; i++)
		texts[i] = ((const struct hostname *)(const void *)((const char *)names + i * stride))->text;
	return pg_text_array(texts, count);
}

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
	return names_literal(store->wildcards, sizeof *store->wildcards, count);
}

/* The place that WITH ORDINALITY numbered from 1; the database is not believed blindly. */
static bool row_index(const PGresult *result, int row, size_t count, size_t *index)
{
	int64_t place = pg_get_int(result, row, 0);

	*index = (size_t)(place - 1);
	return place >= 1 && (size_t)place <= count;
}

static enum issuance_state issuance_of(const char *state, bool not_yet, bool recheck)
{
	if (!state || strcmp(state, "idle") == 0)
		return ISSUANCE_NONE;
	if (strcmp(state, "failed") != 0 || !not_yet)
		return ISSUANCE_UNDER_WAY;
	return recheck ? ISSUANCE_RECHECK : ISSUANCE_FAILED;
}

/* ---- what the broker asks ---- */

enum result site_store_check(struct site_store *store, int timeout_ms, struct error *error)
{
	enum result result = pg_wait_ready(store->pg, 0, error);

	return result == R_OK ? schema_check(store->pg, timeout_ms, error) : result;
}

/* Of each name its certificate, or that of the wildcard above it; the owner who may say how it is served; and
 * whether all names under the wildcard that have nothing of their own are served by what is read here. */
#define FROM_NAMES \
	" FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS q (name, wildcard, place)" \
	" LEFT JOIN LATERAL (SELECT * FROM certificates WHERE name IN (q.name, q.wildcard)" \
	"   ORDER BY name <> q.name LIMIT 1) c ON true" \
	" LEFT JOIN LATERAL (SELECT name, tenant, options FROM domains WHERE name IN (q.name, q.wildcard)" \
	"   AND status IN ('active', 'drifted') ORDER BY name <> q.name LIMIT 1) d ON true" \
	" CROSS JOIN LATERAL (SELECT c.name = q.wildcard AND NOT EXISTS (SELECT 1 FROM domains o" \
	"   WHERE o.name = q.name AND q.name <> q.wildcard AND o.status <> 'pending') AS shared) s"
/* What becomes another when something else than the certificate's version does; of a site that is shared,
 * with the names that it does not serve. */
#define MARK "hashtextextended(concat_ws(' ', c.name, d.name, d.tenant, d.options), 0)"
#define MARK_OF_EXCEPTIONS "hashtextextended(coalesce(sum(hashtextextended(e, 0))::text, ''), 0)"

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
	LOOK_JOB,
	LOOK_JOB_WAITS,
	LOOK_JOB_RECHECK,
};

/* The time of a re-check is the one that enqueue_issuance keeps for pre_issue. */
static const char look_sql[] =
    "SELECT q.place, site_blocked(q.name), c.name, c.version, c.chain_pem, c.key_sealed, s.shared, " MARK ","
    " d.tenant, d.options, j.state, j.next_try_at > clock_timestamp(),"
    " j.last_cause IN ('dns', 'connection', 'tls', 'unauthorized')"
    " AND j.last_try_at < clock_timestamp() - interval '12 minutes'" FROM_NAMES
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
	enum result result = run(look->store, left > 0 ? (int)left : 0, &found, error, sql, params, 2);

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
	};
	unsigned char *sealed = pg_get_bytes(look->found, at, LOOK_KEY, &raw.sealed_size);

	raw.sealed = sealed;
	row->site = site_judge_row(look->store->judge, &raw);
	row->standing = row->site ? SITE_USABLE : SITE_UNUSABLE;
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
	row->issuance = issuance_of(pg_get(look->found, at, LOOK_JOB),
	    pg_get_bool(look->found, at, LOOK_JOB_WAITS), pg_get_bool(look->found, at, LOOK_JOB_RECHECK));
	if (pg_get_bool(look->found, at, LOOK_BLOCKED))
		row->standing = SITE_BLOCKED;
	else if (pg_get_bool(look->found, at, LOOK_SHARED))
		return fill_shared(look, row, at, error);
	else if (pg_get(look->found, at, LOOK_CERTIFICATE))
		judge_row(look, row, at, row->name.text, 0);
	return R_OK;
}

static enum result fill_rows(struct look *look, struct error *error)
{
	enum result result = R_OK;
	size_t index = 0;

	for (int at = 0; at < PQntuples(look->found) && result == R_OK; at++) {
		if (row_index(look->found, at, look->count, &index) && !look->rows[index].site)
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
	char *names = names_literal(&rows->name, sizeof *rows, count);
	char *wildcards = wildcards_literal(store, &rows->name, sizeof *rows, count);
	const struct pg_param params[] = {pg_text(names), pg_text(wildcards)};
	enum result result = run(store, timeout_ms, &found, error, look_sql, params, 2);
	free(names);
	free(wildcards);
	struct look look = {store, rows, count, deadline, found};
	if (result == R_OK)
		result = fill_rows(&look, error);
	PQclear(found);
	return result;
}

static int compare_requests(const void *left, const void *right)
{
	const struct site_request *a = left, *b = right;

	return strcmp(a->name.text, b->name.text);
}

/* Waits for a lock end early: an issuer that froze within a transaction must not hold up every name. */
static const char enqueue_sql[] =
    "WITH patience AS MATERIALIZED (SELECT set_config('lock_timeout', '200ms', true))"
    " SELECT q.place, enqueue_issuance(q.name, q.reason)"
    " FROM patience, unnest($1::text[], $2::text[]) WITH ORDINALITY AS q (name, reason, place)";

static enum result enqueue_all(struct site_store *store, struct site_request *requests, size_t count,
    int timeout_ms, struct error *error)
{
	const char *reasons[SITE_STORE_BATCH];
	PGresult *found = NULL;
	size_t index = 0;

	for (size_t i = 0; i < count; i++) {
		reasons[i] = requests[i].reason;
		requests[i].issuance = ISSUANCE_UNKNOWN;
	}
	char *names = names_literal(&requests->name, sizeof *requests, count);
	char *whys = pg_text_array(reasons, count);
	const struct pg_param params[] = {pg_text(names), pg_text(whys)};
	enum result result = run(store, timeout_ms, &found, error, enqueue_sql, params, 2);
	free(names);
	free(whys);
	if (result != R_OK)
		return result;
	for (int at = 0; at < PQntuples(found); at++) {
		if (row_index(found, at, count, &index))
			requests[index].issuance = issuance_of(pg_get(found, at, 1), true, false);
	}
	PQclear(found);
	return R_OK;
}

/* R_ERROR is the server's refusal, of one name among them for all we know. */
enum result site_store_enqueue(struct site_store *store, struct site_request *requests, size_t count,
    int timeout_ms, struct error *error)
{
	int64_t deadline = clock_monotonic_ms() + timeout_ms;

	assert(count <= SITE_STORE_BATCH);
	qsort(requests, count, sizeof *requests, compare_requests);
	enum result result = enqueue_all(store, requests, count, timeout_ms, error);
	if (result != R_ERROR || count == 1)
		return result;
	for (size_t i = 0; i < count && clock_monotonic_ms() < deadline; i++)
		enqueue_all(store, &requests[i], 1, (int)(deadline - clock_monotonic_ms()), error);
	return R_OK;
}

enum result site_store_stamps(struct site_store *store, const struct hostname *names,
    struct site_stamp *stamps, size_t count, int timeout_ms, struct error *error)
{
	static const char sql[] =
	    "SELECT q.place, c.version, " MARK " # CASE WHEN s.shared AND q.name = q.wildcard THEN"
	    " (SELECT " MARK_OF_EXCEPTIONS " FROM site_exceptions(q.name) AS e) ELSE 0 END" FROM_NAMES
	    " WHERE c.name IS NOT NULL AND NOT site_blocked(q.name)";
	PGresult *found = NULL;
	size_t index = 0;

	char *literal = names_literal(names, sizeof *names, count);
	char *wildcards = wildcards_literal(store, names, sizeof *names, count);
	const struct pg_param params[] = {pg_text(literal), pg_text(wildcards)};
	enum result result = run(store, timeout_ms, &found, error, sql, params, 2);
	free(literal);
	free(wildcards);
	if (result != R_OK)
		return result;
	for (size_t i = 0; i < count; i++)
		stamps[i] = (struct site_stamp){.version = -1};
	for (int at = 0; at < PQntuples(found); at++) {
		if (row_index(found, at, count, &index))
			stamps[index] =
			    (struct site_stamp){pg_get_int(found, at, 1), pg_get_int(found, at, 2)};
	}
	PQclear(found);
	return R_OK;
}

void site_store_keep(struct site_store *store, const struct site_row *row)
{
	const char *name = row->site->name.text;

	site_cache_put(store->cache, row->site);
	/* What the name had of its own is gone: the wildcard serves it. */
	if (strcmp(name, row->name.text) != 0)
		site_cache_remove(store->cache, row->name.text);
	/* Newer than what was read: the hint came while the entry was not there to be marked. */
	if (site_cache_epoch(store->cache, row->name.text) != row->epoch)
		site_cache_mark_due(store->cache, name);
}
