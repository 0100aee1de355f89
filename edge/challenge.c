#include "edge/challenge.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#include "common/clock.h"
#include "common/hostname.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "common/pg.h"
#include "edge/log_rate.h"

/* Nothing is kept in memory: a CA's probes come within one query of each other, a second order of the same
 * name has another answer, and a row that is gone must not be answered for. */
enum {
	PENDING_MAX = 1024, /* look-ups under way, of all names */
	PER_NAME_MAX = 16,
	BATCH = 128,
	SEEN_MAX = 1024,
	TOKEN_MAX = 256,
	DEADLINE_MS = 2000,
	SEEN_RETRY_MS = 250,
};

struct request {
	TAILQ_ENTRY(request) link;
	struct mailbox *mailbox;
	void (*deliver)(struct message *message, void *receiver);
	uint64_t connection;
	int64_t deadline_ms;
	enum challenge_type type;
	struct hostname name;
	char token[TOKEN_MAX + 1];
};
TAILQ_HEAD(request_list, request);

struct challenges {
	struct pg *pg; /* the thread's own */
	pthread_t thread;

	pthread_mutex_t lock; /* covers what follows */
	pthread_cond_t work;
	struct request_list pending; /* oldest first */
	size_t pending_count;
	int64_t seen[SEEN_MAX];
	size_t seen_count;
	bool stopping;

	struct metric *found, *none, *down, *limited;
};

/* ---- asking PostgreSQL ---- */

/* Of several live rows of a name (two orders) the newest is the one that a CA is about to look at. */
static const char find_sql[] =
    "SELECT DISTINCT ON (q.place) q.place, c.id, c.key_authorization"
    " FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS q (name, type, token, place)"
    " JOIN challenges c ON c.name = q.name AND c.type = q.type AND (q.token = '' OR c.token = q.token)"
    " WHERE c.expires_at > clock_timestamp() ORDER BY q.place, c.id DESC";

static const char *type_text(enum challenge_type type)
{
	return type == CHALLENGE_HTTP ? "http-01" : "tls-alpn-01";
}

/* A connection that broke is tried again as long as there is time. */
static enum result query(struct challenges *challenges, int64_t deadline_ms, PGresult **out,
    struct error *error, const char *sql, const struct pg_param *params, int count)
{
	enum result result = R_DOWN;

	while (result == R_DOWN) {
		int64_t left = deadline_ms - clock_monotonic_ms();

		if (left <= 0 || pg_wait_ready(challenges->pg, (int)left, error) != R_OK)
			return R_TIMEOUT;
		left = deadline_ms - clock_monotonic_ms();
		if (left <= 0)
			return R_TIMEOUT;
		result = pg_query(challenges->pg, (int)left, out, error, sql, params, count);
	}
	return result;
}

static enum result find_batch(
    struct challenges *challenges, struct request *const *batch, size_t count, PGresult **out)
{
	static struct log_rate rate;
	const char *names[BATCH], *types[BATCH], *tokens[BATCH];
	struct error error = {{0}};

	for (size_t i = 0; i < count; i++) {
		names[i] = batch[i]->name.text;
		types[i] = type_text(batch[i]->type);
		tokens[i] = batch[i]->token;
	}
	char *name_array = pg_text_array(names, count);
	char *type_array = pg_text_array(types, count);
	char *token_array = pg_text_array(tokens, count);
	const struct pg_param params[] = {pg_text(name_array), pg_text(type_array), pg_text(token_array)};
	enum result result = query(challenges, batch[0]->deadline_ms, out, &error, find_sql, params, 3);
	free(name_array);
	free(type_array);
	free(token_array);
	if (result != R_OK && log_rate_allows(&rate))
		log_warn("challenges cannot be looked up in the database", log_str("error", error.text));
	return result;
}

/* ---- answers ---- */

static void send_reply(
    const struct request *request, enum result result, int64_t id, const char *authorization)
{
	struct challenge_reply *reply = mem_alloc(sizeof *reply);

	reply->message.deliver = request->deliver;
	reply->connection = request->connection;
	reply->result = result;
	reply->id = id;
	snprintf(reply->key_authorization, sizeof reply->key_authorization, "%s", authorization);
	mailbox_send(request->mailbox, &reply->message);
}

static void answer(
    struct challenges *challenges, const struct request *request, const PGresult *rows, size_t place)
{
	if (!rows) {
		metric_add(challenges->down, 1);
		send_reply(request, R_DOWN, 0, "");
		return;
	}
	for (int row = 0; row < PQntuples(rows); row++) {
		if (pg_get_int(rows, row, 0) != (int64_t)place + 1)
			continue;
		metric_add(challenges->found, 1);
		send_reply(request, R_OK, pg_get_int(rows, row, 1), pg_get(rows, row, 2));
		return;
	}
	metric_add(challenges->none, 1);
	send_reply(request, R_NONE, 0, "");
}

static void unlink_batch(struct challenges *challenges, struct request *const *batch, size_t count)
{
	pthread_mutex_lock(&challenges->lock);
	for (size_t i = 0; i < count; i++)
		TAILQ_REMOVE(&challenges->pending, batch[i], link);
	challenges->pending_count -= count;
	pthread_mutex_unlock(&challenges->lock);
}

/* Their places are free before the answers go out: who gets one may ask again. */
static void answer_batch(struct challenges *challenges, struct request *const *batch, size_t count)
{
	PGresult *rows = NULL;
	enum result result = find_batch(challenges, batch, count, &rows);

	unlink_batch(challenges, batch, count);
	for (size_t i = 0; i < count; i++) {
		answer(challenges, batch[i], result == R_OK ? rows : NULL, i);
		free(batch[i]);
	}
	PQclear(rows);
}

/* ---- marking ---- */

static size_t take_seen(struct challenges *challenges, int64_t ids[SEEN_MAX])
{
	pthread_mutex_lock(&challenges->lock);
	size_t count = challenges->seen_count;
	memcpy(ids, challenges->seen, count * sizeof *ids);
	pthread_mutex_unlock(&challenges->lock);
	return count;
}

/* What came in the meantime stands behind them. */
static void forget_seen(struct challenges *challenges, size_t count)
{
	pthread_mutex_lock(&challenges->lock);
	challenges->seen_count -= count;
	memmove(
	    challenges->seen, challenges->seen + count, challenges->seen_count * sizeof *challenges->seen);
	pthread_mutex_unlock(&challenges->lock);
}

/* False: to be tried again a little later. A statement that the server refuses is not. */
static bool mark(struct challenges *challenges)
{
	static struct log_rate rate;
	int64_t ids[SEEN_MAX];
	struct buf array;
	struct error error = {{0}};
	size_t count = take_seen(challenges, ids);

	if (count == 0)
		return true;
	buf_init(&array, SEEN_MAX * 24);
	for (size_t i = 0; i < count; i++)
		buf_append_format(&array, "%c%lld", i ? ',' : '{', (long long)ids[i]);
	buf_append_string(&array, "}");
	enum result result = pg_run(challenges->pg, DEADLINE_MS, NULL, &error,
	    "UPDATE challenges SET seen_at = clock_timestamp()"
	    " WHERE id = ANY ($1::bigint[]) AND seen_at IS NULL",
	    pg_text(buf_string(&array)));
	buf_fini(&array);
	if (result == R_DOWN || result == R_TIMEOUT)
		return false;
	if (result != R_OK && log_rate_allows(&rate))
		log_warn("challenges cannot be marked as seen", log_str("error", error.text));
	forget_seen(challenges, count);
	return true;
}

/* ---- the thread ---- */

static size_t take_batch_locked(struct challenges *challenges, struct request *batch[BATCH])
{
	struct request *request = NULL;
	size_t count = 0;

	TAILQ_FOREACH(request, &challenges->pending, link)
	{
		if (count == BATCH)
			break;
		batch[count++] = request;
	}
	return count;
}

static void wait_locked(struct challenges *challenges, bool retry_marks)
{
	int64_t at = clock_monotonic_ms() + SEEN_RETRY_MS;
	const struct timespec until = {.tv_sec = at / 1000, .tv_nsec = at % 1000 * 1000000};

	while (!challenges->stopping && challenges->pending_count == 0) {
		if (challenges->seen_count == 0)
			pthread_cond_wait(&challenges->work, &challenges->lock);
		else if (!retry_marks ||
			 pthread_cond_timedwait(&challenges->work, &challenges->lock, &until) != 0)
			break;
	}
}

static void *challenges_main(void *arg)
{
	struct challenges *challenges = arg;
	struct request *batch[BATCH];
	bool marked = true;

	pthread_mutex_lock(&challenges->lock);
	while (!challenges->stopping) {
		size_t count = take_batch_locked(challenges, batch);

		pthread_mutex_unlock(&challenges->lock);
		if (count)
			answer_batch(challenges, batch, count);
		marked = mark(challenges);
		pthread_mutex_lock(&challenges->lock);
		wait_locked(challenges, !marked);
	}
	pthread_mutex_unlock(&challenges->lock);
	return NULL;
}

/* ---- public functions ---- */

static bool has_room_locked(const struct challenges *challenges, const char *name)
{
	const struct request *request = NULL;
	size_t same = 0;

	if (challenges->pending_count == PENDING_MAX)
		return false;
	TAILQ_FOREACH(request, &challenges->pending, link)
	same += strcmp(request->name.text, name) == 0;
	return same < PER_NAME_MAX;
}

/* RFC 8555 section 8.3: base64url. What cannot be a token needs no database. */
static bool is_token(const char *token)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	size_t size = strlen(token);

	return size >= 1 && size <= TOKEN_MAX && strspn(token, letters) == size;
}

enum result challenges_find(struct challenges *challenges, struct mailbox *mailbox,
    void (*deliver)(struct message *message, void *receiver), uint64_t connection, enum challenge_type type,
    const char *name, const char *token)
{
	struct request *request = mem_alloc(sizeof *request);

	request->mailbox = mailbox;
	request->deliver = deliver;
	request->connection = connection;
	request->type = type;
	request->deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
	snprintf(request->name.text, sizeof request->name.text, "%s", name);
	snprintf(request->token, sizeof request->token, "%s", token ? token : "");
	if (token && !is_token(token)) {
		metric_add(challenges->none, 1);
		send_reply(request, R_NONE, 0, "");
		free(request);
		return R_OK;
	}
	pthread_mutex_lock(&challenges->lock);
	bool has_room = has_room_locked(challenges, request->name.text);
	if (has_room) {
		TAILQ_INSERT_TAIL(&challenges->pending, request, link);
		challenges->pending_count++;
		pthread_cond_signal(&challenges->work);
	}
	pthread_mutex_unlock(&challenges->lock);
	if (has_room)
		return R_OK;
	metric_add(challenges->limited, 1);
	free(request);
	return R_LIMIT;
}

void challenges_mark_seen(struct challenges *challenges, int64_t id)
{
	pthread_mutex_lock(&challenges->lock);
	if (challenges->seen_count < SEEN_MAX)
		challenges->seen[challenges->seen_count++] = id;
	pthread_cond_signal(&challenges->work);
	pthread_mutex_unlock(&challenges->lock);
}

/* ---- start and end ---- */

static void make_metrics(struct challenges *challenges)
{
	static const char name[] = "postern_edge_challenge_lookups_total";

	challenges->found = metrics_counter(
	    name, "result=\"found\"", "Challenges of the CA looked up in the database, by what was found.");
	challenges->none = metrics_counter(name, "result=\"none\"", NULL);
	challenges->down = metrics_counter(name, "result=\"down\"", NULL);
	challenges->limited = metrics_counter(name, "result=\"limited\"", NULL);
}

struct challenges *challenges_new(const struct settings *settings)
{
	struct challenges *challenges = mem_alloc(sizeof *challenges);
	pthread_condattr_t monotonic;

	pthread_mutex_init(&challenges->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&challenges->work, &monotonic);
	pthread_condattr_destroy(&monotonic);
	TAILQ_INIT(&challenges->pending);
	make_metrics(challenges);
	challenges->pg = pg_new(settings_string(settings, "database"), "postern-edge-challenges");
	if (pthread_create(&challenges->thread, NULL, challenges_main, challenges) != 0)
		abort();
	return challenges;
}

void challenges_free(struct challenges *challenges)
{
	struct request *request = NULL;

	if (!challenges)
		return;
	pthread_mutex_lock(&challenges->lock);
	challenges->stopping = true;
	pthread_cond_signal(&challenges->work);
	pthread_mutex_unlock(&challenges->lock);
	pthread_join(challenges->thread, NULL);
	while ((request = TAILQ_FIRST(&challenges->pending))) {
		TAILQ_REMOVE(&challenges->pending, request, link);
		free(request);
	}
	pg_free(challenges->pg);
	pthread_cond_destroy(&challenges->work);
	pthread_mutex_destroy(&challenges->lock);
	free(challenges);
}
