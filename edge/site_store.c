#include "edge/site_store.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "common/pg.h"
#include "common/schema.h"
#include "edge/log_rate.h"
#include "edge/site_options.h"

struct site_store {
	struct pg *pg;
	const struct seal_keys *keys;
	struct site_cache *cache;
	OSSL_LIB_CTX *libctx; /* of this thread: OpenSSL's default one is shared and its locks with it */
	bool down;            /* the last statement found no database: the next ones need not wait for it */
	struct metric *unusable_rows;
};

struct site_store *site_store_new(
    const char *conninfo, const struct seal_keys *keys, struct site_cache *cache)
{
	struct site_store *store = mem_alloc(sizeof *store);

	store->keys = keys;
	store->cache = cache;
	store->libctx = OSSL_LIB_CTX_new();
	store->unusable_rows = metrics_counter("postern_edge_unusable_rows_total", NULL,
	    "Certificate rows read that could not be served: damaged, for another name or key, expired.");
	store->pg = pg_new(conninfo, "postern-edge");
	return store;
}

void site_store_free(struct site_store *store)
{
	if (!store)
		return;
	pg_free(store->pg);
	OSSL_LIB_CTX_free(store->libctx);
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

/* The place that WITH ORDINALITY numbered from 1; the database is not believed blindly. */
static bool row_index(const PGresult *result, int row, size_t count, size_t *index)
{
	int64_t place = pg_get_int(result, row, 0);

	*index = (size_t)(place - 1);
	return place >= 1 && (size_t)place <= count;
}

/* ---- judging a row ---- */

/* What was read of a row, as site_new wants it. */
struct raw_site {
	struct site_stamp stamp;
	const char *pem;
	unsigned char *sealed;
	size_t sealed_size;
	const char *tenant, *options;
};

static struct site *make_site(const struct site_row *row, const struct raw_site *raw,
    struct certificate *certificate, const struct buf *key)
{
	struct site_options options;

	site_options_read(&options, raw->tenant, raw->options, row->name.text);
	struct site *site =
	    site_new(&row->name, raw->stamp, certificate, buf_bytes(key), buf_size(key), &options);
	site_options_fini(&options);
	return site;
}

static enum result open_row(
    struct site_store *store, struct site_row *row, const struct raw_site *raw, struct error *error)
{
	const struct seal_place place = {
	    .kind = "certificate_key", .name = row->name.text, .version = raw->stamp.version};
	struct certificate certificate = {0};
	EVP_PKEY *key = NULL;
	struct buf plain;
	enum result result = R_INVALID;

	buf_init(&plain, SEAL_PLAINTEXT_MAX);
	result = seal_open(store->keys, &place, raw->sealed, raw->sealed_size, &plain, error);
	if (result != R_OK)
		goto out;
	result = certificate_key_import(&key, buf_bytes(&plain), buf_size(&plain), store->libctx, error);
	if (result != R_OK)
		goto out;
	result = certificate_parse(&certificate, raw->pem, strlen(raw->pem), key, row->name.text,
	    clock_wall_ms() / 1000, store->libctx, error);
	if (result != R_OK)
		goto out;
	row->site = make_site(row, raw, &certificate, &plain);
out:
	EVP_PKEY_free(key);
	buf_wipe(&plain);
	return result;
}

static enum site_standing judge_row(
    struct site_store *store, struct site_row *row, const PGresult *result, int at)
{
	static struct log_rate rate;
	struct error error = {{0}};
	struct raw_site raw = {
	    .stamp = {pg_get_int(result, at, 1), pg_get_int(result, at, 8)},
	    .pem = pg_get(result, at, 2),
	    .tenant = pg_get(result, at, 9),
	    .options = pg_get(result, at, 10),
	};
	enum result opened = R_INVALID;

	if (!raw.pem)
		return SITE_ABSENT;
	raw.sealed = pg_get_bytes(result, at, 3, &raw.sealed_size);
	if (raw.sealed)
		opened = open_row(store, row, &raw, &error);
	free(raw.sealed);
	if (opened == R_OK)
		return SITE_USABLE;
	metric_add(store->unusable_rows, 1);
	if (log_rate_allows(&rate))
		log_error("stored certificate cannot be served", log_str("name", row->name.text),
		    log_int("version", raw.stamp.version), log_str("error", error.text));
	return SITE_UNUSABLE;
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

/* Of the row whose owner may say how the name is served, and what becomes another when it does. */
#define OWNER_JOIN " LEFT JOIN domains d ON d.name = q.name AND d.status IN ('active', 'drifted')"
#define MARK "hashtextextended(concat(d.tenant, ' ', d.options), 0)"

/* The time of a re-check is the one that enqueue_issuance keeps for pre_issue. */
static const char look_sql[] =
    "SELECT q.place, c.version, c.chain_pem, c.key_sealed, site_blocked(q.name), j.state,"
    " j.next_try_at > clock_timestamp(),"
    " j.last_cause IN ('dns', 'connection', 'tls', 'unauthorized')"
    " AND j.last_try_at < clock_timestamp() - interval '12 minutes', " MARK ", d.tenant, d.options"
    " FROM unnest($1::text[]) WITH ORDINALITY AS q (name, place)"
    " LEFT JOIN certificates c ON c.name = q.name"
    " LEFT JOIN issuance_jobs j ON j.name = q.name" OWNER_JOIN;

static void fill_row(struct site_store *store, struct site_row *row, const PGresult *result, int at)
{
	row->standing = pg_get_bool(result, at, 4) ? SITE_BLOCKED : judge_row(store, row, result, at);
	row->issuance =
	    issuance_of(pg_get(result, at, 5), pg_get_bool(result, at, 6), pg_get_bool(result, at, 7));
}

enum result site_store_load(
    struct site_store *store, struct site_row *rows, size_t count, int timeout_ms, struct error *error)
{
	PGresult *found = NULL;
	size_t index = 0;

	assert(count <= SITE_STORE_BATCH);
	for (size_t i = 0; i < count; i++) {
		rows[i].epoch = site_cache_epoch(store->cache, rows[i].name.text);
		rows[i].standing = SITE_ABSENT;
		rows[i].issuance = ISSUANCE_NONE;
		rows[i].site = NULL;
	}
	char *names = names_literal(&rows->name, sizeof *rows, count);
	enum result result = run(store, timeout_ms, &found, error, look_sql, &pg_text(names), 1);
	free(names);
	if (result != R_OK)
		return result;
	for (int at = 0; at < PQntuples(found); at++) {
		if (row_index(found, at, count, &index) && !rows[index].site)
			fill_row(store, &rows[index], found, at);
	}
	PQclear(found);
	return R_OK;
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
	    "SELECT q.place, c.version, " MARK " FROM unnest($1::text[]) WITH ORDINALITY AS q (name, place)"
	    " JOIN certificates c ON c.name = q.name" OWNER_JOIN " WHERE NOT site_blocked(q.name)";
	PGresult *found = NULL;
	size_t index = 0;

	char *literal = names_literal(names, sizeof *names, count);
	enum result result = run(store, timeout_ms, &found, error, sql, &pg_text(literal), 1);
	free(literal);
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
	site_cache_put(store->cache, row->site);
	/* Newer than what was read: the hint came while the entry was not there to be marked. */
	if (site_cache_epoch(store->cache, row->name.text) != row->epoch)
		site_cache_invalidate(store->cache, row->name.text);
}
