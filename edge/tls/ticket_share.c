#include "edge/tls/ticket_share.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/process.h"
#include "common/daemon/background.h"
#include "common/daemon/metrics.h"
#include "common/log/log.h"
#include "common/pg/pg.h"
#include "edge/loop/log_rate.h"

enum {
	POLL_MS = 5 * 60 * 1000, /* TICKET_KEY_HEARD_MS is three of them */
	RETRY_MS = 5 * 1000,
	CONNECT_MS = 5 * 1000,
	CONNECT_STEP_MS = 100,
	QUERY_MS = 2 * 1000,
	OLD_MS = 11 * 3600 * 1000, /* an hour for the next one to become known */
	AHEAD_MS = 5 * 60 * 1000,  /* of the database's own clock: it was put back */
	SEALED_MAX = 1024,
};

static const char kind[] = "ticket_key", place_name[] = "ticket_keys";

struct ticket_share {
	char *conninfo;
	const struct seal_keys *seal;
	struct ticket_keys *keys;
	struct metric *shared;
	struct background *thread;
};

/* What the table holds, newest first. */
struct rows {
	struct ticket_key keys[TICKET_KEY_GENERATIONS];
	int64_t ages_ms[TICKET_KEY_GENERATIONS];
	size_t count;
	int64_t newest; /* its generation; 0: there is none */
	int64_t newest_age_ms;
};

static enum result open_key(struct ticket_share *share, const PGresult *found, int at, struct ticket_key *out)
{
	const struct seal_place place = {
	    .kind = kind, .name = place_name, .version = pg_get_int(found, at, 0)};
	struct error error = {""};
	struct buf plain;
	size_t size = 0;
	unsigned char *sealed = pg_get_bytes(found, at, 1, &size);

	buf_init(&plain, SEALED_MAX);
	enum result result =
	    sealed ? seal_open(share->seal, &place, sealed, size, &plain, &error) : R_INVALID;
	if (result == R_OK && buf_size(&plain) != sizeof *out)
		result = R_INVALID;
	if (result == R_OK)
		memcpy(out, buf_bytes(&plain), sizeof *out);
	else
		log_warn("a shared ticket key cannot be opened", log_int("generation", place.version),
		    log_str("error", error.text));
	buf_wipe(&plain);
	free(sealed);
	return result;
}

/* A key from a time to come would never grow old: it counts as old at once, and is not used. */
static bool is_from_the_future(int64_t age_ms)
{
	return age_ms < -AHEAD_MS;
}

/* A key that does not open (sealed for a key that is gone) is left out: its tickets are worth a full
 * handshake. */
static enum result read_rows(struct ticket_share *share, struct pg *pg, struct rows *out, struct error *error)
{
	static const char sql[] =
	    "SELECT generation, key_sealed, (extract(epoch FROM clock_timestamp() - made_at) * 1000)::bigint"
	    " FROM ticket_keys ORDER BY generation DESC LIMIT 3";
	PGresult *found = NULL;
	enum result result = pg_query(pg, QUERY_MS, &found, error, sql, NULL, 0);

	OPENSSL_cleanse(out, sizeof *out);
	if (result != R_OK)
		return result;
	for (int at = 0; at < PQntuples(found); at++) {
		int64_t age = pg_get_int(found, at, 2);

		if (at == 0) {
			out->newest = pg_get_int(found, at, 0);
			out->newest_age_ms = is_from_the_future(age) ? OLD_MS : age;
		}
		out->ages_ms[out->count] = age > 0 ? age : 0;
		if (!is_from_the_future(age) && open_key(share, found, at, &out->keys[out->count]) == R_OK)
			out->count++;
	}
	PQclear(found);
	return R_OK;
}

/* Whether it was this node's key that was taken, the next reading tells. */
static enum result add_next(
    struct ticket_share *share, struct pg *pg, int64_t generation, struct error *error)
{
	const struct seal_place place = {.kind = kind, .name = place_name, .version = generation};
	struct ticket_key key;
	struct buf sealed;

	buf_init(&sealed, SEALED_MAX);
	process_random(&key, sizeof key);
	enum result result = seal_bytes(share->seal, &place, &key, sizeof key, &sealed, error);
	OPENSSL_cleanse(&key, sizeof key);
	if (result == R_OK)
		result = pg_run(pg, QUERY_MS, NULL, error, "SELECT add_ticket_key($1, $2)",
		    pg_int(generation), pg_bytea(buf_bytes(&sealed), buf_size(&sealed)));
	buf_fini(&sealed);
	return result;
}

/* What was read is shared also where nothing can be added (a standby, a right that is missing). */
static enum result read_and_add(
    struct ticket_share *share, struct pg *pg, struct rows *rows, struct error *error)
{
	enum result result = read_rows(share, pg, rows, error);

	if (result != R_OK || (rows->newest > 0 && rows->newest_age_ms < OLD_MS))
		return result;
	result = add_next(share, pg, rows->newest + 1, error);
	if (result == R_OK)
		return read_rows(share, pg, rows, error);
	log_warn("the next shared ticket key cannot be stored; those at hand go on",
	    log_str("error", error->text));
	return R_OK;
}

static enum result wait_ready(struct background *self, struct pg *pg, struct error *error)
{
	int64_t deadline = clock_monotonic_ms() + CONNECT_MS;
	enum result result = R_TIMEOUT;

	while (result == R_TIMEOUT && !background_is_stopping(self) && clock_monotonic_ms() < deadline)
		result = pg_wait_ready(pg, CONNECT_STEP_MS, error);
	return result;
}

static enum result poll_once(struct ticket_share *share, struct background *self)
{
	static struct log_rate rate;
	struct error error = {""};
	struct rows rows;
	struct pg *pg = pg_new(share->conninfo, "postern-edge-tickets");
	enum result result = wait_ready(self, pg, &error);

	if (result == R_OK)
		result = read_and_add(share, pg, &rows, &error);
	if (result == R_OK) {
		ticket_keys_share(share->keys, rows.keys, rows.ages_ms, rows.count);
		metric_set(share->shared, (int64_t)rows.count);
	} else if (!background_is_stopping(self) && log_rate_allows(&rate)) {
		log_warn("the shared ticket keys cannot be read; those at hand go on",
		    log_str("error", error.text));
	}
	OPENSSL_cleanse(&rows, sizeof rows);
	pg_free(pg);
	return result;
}

/* Nodes that were started together do not come together. */
static int64_t round_of(void *arg, struct background *self)
{
	uint16_t spread = 0;

	if (poll_once(arg, self) != R_OK)
		return RETRY_MS;
	process_random(&spread, sizeof spread);
	return POLL_MS - spread % (POLL_MS / 4);
}

struct ticket_share *ticket_share_start(
    const char *conninfo, const struct seal_keys *seal, struct ticket_keys *keys)
{
	struct ticket_share *share = mem_alloc(sizeof *share);

	share->conninfo = mem_string(conninfo);
	share->seal = seal;
	share->keys = keys;
	share->shared = metrics_gauge("postern_edge_ticket_keys_shared", NULL,
	    "Generations of ticket keys that this node has in common with the others; 0: it uses its own.");
	share->thread = background_start("ticket-keys", round_of, share);
	return share;
}

void ticket_share_stop(struct ticket_share *share)
{
	if (!share)
		return;
	background_stop(share->thread);
	free(share->conninfo);
	free(share);
}
