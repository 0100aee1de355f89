#include "edge/site/site_store_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/pg/pg.h"
#include "common/pg/schema.h"

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

enum result site_store_run(struct site_store *store, int timeout_ms, PGresult **out, struct error *error,
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

char *site_store_names(const struct hostname *names, size_t stride, size_t count)
{
	const char *texts[SITE_STORE_STAMPS];

	assert(count <= SITE_STORE_STAMPS);
	for (size_t i = 0; i < count; i++)
		texts[i] = ((const struct hostname *)(const void *)((const char *)names + i * stride))->text;
	return pg_text_array(texts, count);
}

bool site_store_row_index(const PGresult *result, int row, size_t count, size_t *index)
{
	int64_t place = pg_get_int(result, row, 0);

	*index = (size_t)(place - 1);
	return place >= 1 && (size_t)place <= count;
}

enum issuance_state site_store_issuance(const char *state, bool not_yet, bool recheck)
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
	char *names = site_store_names(&requests->name, sizeof *requests, count);
	char *whys = pg_text_array(reasons, count);
	const struct pg_param params[] = {pg_text(names), pg_text(whys)};
	enum result result = site_store_run(store, timeout_ms, &found, error, enqueue_sql, params, 2);
	free(names);
	free(whys);
	if (result != R_OK)
		return result;
	for (int at = 0; at < PQntuples(found); at++) {
		if (site_store_row_index(found, at, count, &index))
			requests[index].issuance = site_store_issuance(pg_get(found, at, 1), true, false);
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
