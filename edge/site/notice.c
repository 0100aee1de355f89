#include "edge/site/notice.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/condition.h"
#include "common/base/mem.h"
#include "common/daemon/metrics.h"
#include "common/pg/pg.h"

enum {
	QUESTIONS_MAX = 256,
	BATCH = 64,
	QUERY_MS = 800,
	BETWEEN_QUERIES_MS = 20,
};

struct question {
	struct mailbox *mailbox;
	void (*deliver)(struct message *message, void *receiver);
	uint64_t connection;
	struct hostname name;
};

struct notices {
	struct pg *pg; /* the thread's own */
	pthread_t thread;

	pthread_mutex_t lock; /* covers what follows */
	pthread_cond_t work;
	struct question queue[QUESTIONS_MAX]; /* a ring */
	size_t first, count;
	bool stopping;

	struct metric *shown, *none, *down, *limited;
};

/* ---- what a row comes to */

/* The owner's claim counts; without one, any that is still open. */
static const char find_sql[] =
    "SELECT q.place,"
    " EXISTS (SELECT FROM certificates c WHERE c.name IN (q.name, q.wildcard) AND c.not_after > now()"
    "  AND (c.tenant IS NULL OR c.tenant = (SELECT d.tenant FROM domains d WHERE d.name = q.name"
    "       AND d.status IN ('active', 'drifted')))),"
    " (SELECT d.status FROM domains d WHERE d.name = q.name AND d.status <> 'released'"
    "  ORDER BY d.status = 'pending' LIMIT 1),"
    " j.state, j.last_cause, ceil(extract(epoch FROM j.next_try_at - clock_timestamp()))::bigint"
    " FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS q (name, wildcard, place)"
    " LEFT JOIN issuance_jobs j ON j.name = q.name ORDER BY q.place";

static bool is_text(const char *text, const char *wanted)
{
	return text && strcmp(text, wanted) == 0;
}

static enum notice_kind kind_of_cause(const char *cause)
{
	static const struct {
		const char *cause;
		enum notice_kind kind;
	} kinds[] = {
	    {"dns", NOTICE_UNREACHABLE},
	    {"connection", NOTICE_UNREACHABLE},
	    {"tls", NOTICE_UNREACHABLE},
	    {"unauthorized", NOTICE_UNREACHABLE},
	    {"caa", NOTICE_CAA},
	    {"rate_limited", NOTICE_LIMITED},
	    {"rejected", NOTICE_REJECTED},
	};

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (is_text(cause, kinds[i].cause))
			return kinds[i].kind;
	return NOTICE_DELAYED;
}

/* A failed job whose time has come is tried again by the next visitor of https: there the redirect leads. */
static enum notice_kind kind_of_job(const char *state, const char *cause, int64_t retry_s)
{
	if (is_text(state, "failed"))
		return retry_s > 0 ? kind_of_cause(cause) : NOTICE_NONE;
	if (is_text(state, "queued") || is_text(state, "running"))
		return NOTICE_ISSUING;
	return NOTICE_NONE;
}

static void judge(struct notice_reply *reply, const PGresult *rows, int at)
{
	const char *status = pg_get(rows, at, 2);
	int64_t retry_s = pg_get_int(rows, at, 5);

	if (is_text(status, "suspended"))
		reply->kind = NOTICE_SUSPENDED;
	else if (pg_get_bool(rows, at, 1))
		reply->kind = NOTICE_NONE;
	else if (is_text(status, "pending"))
		reply->kind = NOTICE_PENDING;
	else
		reply->kind = kind_of_job(pg_get(rows, at, 3), pg_get(rows, at, 4), retry_s);
	if (reply->kind >= NOTICE_UNREACHABLE)
		reply->retry_s = retry_s;
}

/* ---- asking */

static enum result find_batch(
    struct notices *notices, const struct question *batch, size_t count, PGresult **out)
{
	struct hostname wildcards[BATCH];
	const char *names[BATCH], *above[BATCH];
	struct error error = {{0}};

	for (size_t i = 0; i < count; i++) {
		names[i] = batch[i].name.text;
		above[i] = hostname_wildcard(&wildcards[i], names[i]) ? wildcards[i].text : "";
	}
	char *name_array = pg_text_array(names, count);
	char *above_array = pg_text_array(above, count);
	enum result result =
	    pg_run(notices->pg, QUERY_MS, out, &error, find_sql, pg_text(name_array), pg_text(above_array));
	free(name_array);
	free(above_array);
	return result;
}

static void send_reply(struct notices *notices, const struct question *question, const PGresult *rows, int at)
{
	struct notice_reply *reply = mem_alloc(sizeof *reply);

	reply->message.deliver = question->deliver;
	reply->connection = question->connection;
	reply->name = question->name;
	if (rows)
		judge(reply, rows, at);
	metric_add(!rows ? notices->down : reply->kind == NOTICE_NONE ? notices->none : notices->shown, 1);
	mailbox_send(question->mailbox, &reply->message);
}

/* With the database away a redirect is the best that can be said. */
static void answer_batch(struct notices *notices, const struct question *batch, size_t count)
{
	PGresult *rows = NULL;
	bool found = find_batch(notices, batch, count, &rows) == R_OK && PQntuples(rows) == (int)count;

	for (size_t i = 0; i < count; i++)
		send_reply(notices, &batch[i], found ? rows : NULL, (int)i);
	PQclear(rows);
}

/* ---- the thread */

static size_t take_locked(struct notices *notices, struct question batch[BATCH])
{
	size_t count = 0;

	for (; count < BATCH && notices->count > 0; notices->count--) {
		batch[count++] = notices->queue[notices->first];
		notices->first = (notices->first + 1) % QUESTIONS_MAX;
	}
	return count;
}

static void *notices_main(void *arg)
{
	struct notices *notices = arg;
	struct question *batch = mem_alloc_array(BATCH, sizeof *batch);
	int64_t not_before = 0;

	pthread_mutex_lock(&notices->lock);
	while (!notices->stopping) {
		if (notices->count == 0) {
			pthread_cond_wait(&notices->work, &notices->lock);
			continue;
		}
		if (clock_monotonic_ms() < not_before) {
			condition_wait_until(&notices->work, &notices->lock, not_before);
			continue;
		}
		size_t count = take_locked(notices, batch);
		pthread_mutex_unlock(&notices->lock);
		answer_batch(notices, batch, count);
		not_before = clock_monotonic_ms() + BETWEEN_QUERIES_MS;
		pthread_mutex_lock(&notices->lock);
	}
	pthread_mutex_unlock(&notices->lock);
	free(batch);
	return NULL;
}

/* ---- public functions */

enum result notices_find(struct notices *notices, struct mailbox *mailbox,
    void (*deliver)(struct message *message, void *receiver), uint64_t connection, const char *name)
{
	pthread_mutex_lock(&notices->lock);
	bool has_room = notices->count < QUESTIONS_MAX;
	if (has_room) {
		struct question *question =
		    &notices->queue[(notices->first + notices->count++) % QUESTIONS_MAX];

		*question =
		    (struct question){.mailbox = mailbox, .deliver = deliver, .connection = connection};
		snprintf(question->name.text, sizeof question->name.text, "%s", name);
		pthread_cond_signal(&notices->work);
	}
	pthread_mutex_unlock(&notices->lock);
	if (has_room)
		return R_OK;
	metric_add(notices->limited, 1);
	return R_LIMIT;
}

static void make_metrics(struct notices *notices)
{
	static const char name[] = "postern_edge_notice_lookups_total";

	notices->shown = metrics_counter(name, "result=\"shown\"",
	    "Visitors of port 80 whose name had no certificate in memory, by what they got.");
	notices->none = metrics_counter(name, "result=\"none\"", NULL);
	notices->down = metrics_counter(name, "result=\"down\"", NULL);
	notices->limited = metrics_counter(name, "result=\"limited\"", NULL);
}

struct notices *notices_new(const struct settings *settings)
{
	struct notices *notices = mem_alloc(sizeof *notices);

	pthread_mutex_init(&notices->lock, NULL);
	condition_init(&notices->work);
	make_metrics(notices);
	notices->pg = pg_new(settings_string(settings, "database"), "postern-edge-notices");
	if (pthread_create(&notices->thread, NULL, notices_main, notices) != 0)
		abort();
	return notices;
}

void notices_free(struct notices *notices)
{
	if (!notices)
		return;
	pthread_mutex_lock(&notices->lock);
	notices->stopping = true;
	pthread_cond_signal(&notices->work);
	pthread_mutex_unlock(&notices->lock);
	pthread_join(notices->thread, NULL);
	pg_free(notices->pg);
	pthread_cond_destroy(&notices->work);
	pthread_mutex_destroy(&notices->lock);
	free(notices);
}
