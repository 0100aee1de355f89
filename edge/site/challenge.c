#include "edge/site/challenge.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/base/condition.h"
#include "common/base/mem.h"
#include "common/daemon/metrics.h"
#include "common/log/log.h"
#include "common/net/hostname.h"
#include "common/pg/pg.h"
#include "edge/loop/log_rate.h"

/* Nothing is kept in memory: a CA's probes come within one query of each other, a second order of the same
 * name has another answer, and a row that is gone must not be answered for. */
enum {
	QUESTIONS_MAX = 1024, /* not yet with the database */
	ASKERS_MAX = 16 * 1024,
	BATCH = 128,
	SEEN_MAX = 1024,
	TOKEN_MAX = 256,
	DEADLINE_MS = 2000,
	SEEN_RETRY_MS = 250,
};

/* Who waits for an answer. */
struct asker {
	TAILQ_ENTRY(asker) link;
	struct mailbox *mailbox;
	void (*deliver)(struct message *message, void *receiver);
	uint64_t connection;
	int32_t stream;
	char token[]; /* empty: any */
};
TAILQ_HEAD(asker_list, asker);

/* All live challenges of a name and type. Until it is with the database whoever comes shares it: a stranger's
 * junk probes must not take the place of the CA's. From then on a new one is begun, since a row may have been
 * committed after the query saw the table. */
struct question {
	TAILQ_ENTRY(question) link;
	int64_t deadline_ms; /* of the first who asked */
	enum challenge_type type;
	struct hostname name;
	struct asker_list askers;
};
TAILQ_HEAD(question_list, question);

struct challenges {
	struct pg *pg; /* the thread's own */
	pthread_t thread;

	pthread_mutex_t lock; /* covers what follows */
	pthread_cond_t work;
	struct question_list pending; /* oldest first; none is with the database */
	size_t pending_count;
	size_t asker_count; /* of all questions that are not answered yet */
	int64_t seen[SEEN_MAX];
	size_t seen_count;
	bool stopping;

	struct metric *found, *none, *down, *limited;
};

/* ---- asking PostgreSQL ---- */

/* Of several live rows of a name (two orders) the newest comes first: it is what a CA is about to look at. */
static const char find_sql[] = "SELECT q.place, c.id, c.token, c.key_authorization"
			       " FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS q (name, type, place)"
			       " JOIN challenges c ON c.name = q.name AND c.type = q.type"
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
    struct challenges *challenges, struct question *const *batch, size_t count, PGresult **out)
{
	static struct log_rate rate;
	const char *names[BATCH], *types[BATCH];
	struct error error = {{0}};

	for (size_t i = 0; i < count; i++) {
		names[i] = batch[i]->name.text;
		types[i] = type_text(batch[i]->type);
	}
	char *name_array = pg_text_array(names, count);
	char *type_array = pg_text_array(types, count);
	const struct pg_param params[] = {pg_text(name_array), pg_text(type_array)};
	enum result result = query(challenges, batch[0]->deadline_ms, out, &error, find_sql, params, 2);
	free(name_array);
	free(type_array);
	if (result != R_OK && log_rate_allows(&rate))
		log_warn("challenges cannot be looked up in the database", log_str("error", error.text));
	return result;
}

/* ---- answers ---- */

static void send_reply(const struct asker *asker, enum result result, int64_t id, const char *authorization)
{
	struct challenge_reply *reply = mem_alloc(sizeof *reply);

	reply->message.deliver = asker->deliver;
	reply->connection = asker->connection;
	reply->stream = asker->stream;
	reply->result = result;
	reply->id = id;
	snprintf(reply->key_authorization, sizeof reply->key_authorization, "%s", authorization);
	mailbox_send(asker->mailbox, &reply->message);
}

/* `rows` NULL: the database did not answer. The question's own are those from `first` to before `end`. */
static void answer(
    struct challenges *challenges, const struct asker *asker, const PGresult *rows, int first, int end)
{
	for (int row = first; row < end; row++) {
		if (asker->token[0] && strcmp(asker->token, pg_get(rows, row, 2)) != 0)
			continue;
		metric_add(challenges->found, 1);
		send_reply(asker, R_OK, pg_get_int(rows, row, 1), pg_get(rows, row, 3));
		return;
	}
	metric_add(rows ? challenges->none : challenges->down, 1);
	send_reply(asker, rows ? R_NONE : R_DOWN, 0, "");
}

static void answer_askers(
    struct challenges *challenges, struct question *question, const PGresult *rows, int first, int end)
{
	struct asker *asker = NULL;

	while ((asker = TAILQ_FIRST(&question->askers))) {
		TAILQ_REMOVE(&question->askers, asker, link);
		answer(challenges, asker, rows, first, end);
		free(asker);
	}
}

static void give_places_back(struct challenges *challenges, struct question *const *batch, size_t count)
{
	const struct asker *asker = NULL;
	size_t askers = 0;

	for (size_t i = 0; i < count; i++)
		TAILQ_FOREACH(asker, &batch[i]->askers, link)
	askers++;
	pthread_mutex_lock(&challenges->lock);
	challenges->asker_count -= askers;
	pthread_mutex_unlock(&challenges->lock);
}

/* The places are free before the answers go out: who gets one may ask again. */
static void answer_batch(struct challenges *challenges, struct question *const *batch, size_t count)
{
	PGresult *rows = NULL;
	int row = 0;
	bool found = find_batch(challenges, batch, count, &rows) == R_OK;
	int row_count = found ? PQntuples(rows) : 0;

	give_places_back(challenges, batch, count);
	for (size_t i = 0; i < count; i++) {
		int first = row;

		while (row < row_count && pg_get_int(rows, row, 0) == (int64_t)i + 1)
			row++;
		answer_askers(challenges, batch[i], found ? rows : NULL, first, row);
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

static size_t take_batch_locked(struct challenges *challenges, struct question *batch[BATCH])
{
	struct question *question = NULL;
	size_t count = 0;

	while (count < BATCH && (question = TAILQ_FIRST(&challenges->pending))) {
		TAILQ_REMOVE(&challenges->pending, question, link);
		challenges->pending_count--;
		batch[count++] = question;
	}
	return count;
}

static void wait_locked(struct challenges *challenges, bool retry_marks)
{
	int64_t until = clock_monotonic_ms() + SEEN_RETRY_MS;

	while (!challenges->stopping && challenges->pending_count == 0) {
		if (challenges->seen_count == 0)
			pthread_cond_wait(&challenges->work, &challenges->lock);
		else if (!retry_marks || !condition_wait_until(&challenges->work, &challenges->lock, until))
			break;
	}
}

static void *challenges_main(void *arg)
{
	struct challenges *challenges = arg;
	struct question *batch[BATCH];
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

static struct question *find_pending_locked(
    const struct challenges *challenges, enum challenge_type type, const char *name)
{
	struct question *question = NULL;

	TAILQ_FOREACH(question, &challenges->pending, link)
	{
		if (question->type == type && strcmp(question->name.text, name) == 0)
			break;
	}
	return question;
}

/* NULL: too many. */
static struct question *add_question_locked(
    struct challenges *challenges, enum challenge_type type, const char *name)
{
	if (challenges->pending_count == QUESTIONS_MAX)
		return NULL;
	struct question *question = mem_alloc(sizeof *question);
	question->type = type;
	question->deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
	snprintf(question->name.text, sizeof question->name.text, "%s", name);
	TAILQ_INIT(&question->askers);
	TAILQ_INSERT_TAIL(&challenges->pending, question, link);
	challenges->pending_count++;
	pthread_cond_signal(&challenges->work);
	return question;
}

static bool join_locked(
    struct challenges *challenges, struct asker *asker, enum challenge_type type, const char *name)
{
	if (challenges->asker_count == ASKERS_MAX)
		return false;
	struct question *question = find_pending_locked(challenges, type, name);
	if (!question)
		question = add_question_locked(challenges, type, name);
	if (!question)
		return false;
	TAILQ_INSERT_TAIL(&question->askers, asker, link);
	challenges->asker_count++;
	return true;
}

/* RFC 8555 section 8.3: base64url. What cannot be a token needs no database. */
static bool is_token(const char *token)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	size_t size = strlen(token);

	return size >= 1 && size <= TOKEN_MAX && strspn(token, letters) == size;
}

enum result challenges_find(struct challenges *challenges, struct mailbox *mailbox,
    void (*deliver)(struct message *message, void *receiver), uint64_t connection, int32_t stream,
    enum challenge_type type, const char *name, const char *token)
{
	size_t token_size = token ? strlen(token) : 0;
	struct asker *asker = mem_alloc(sizeof *asker + token_size + 1);

	asker->mailbox = mailbox;
	asker->deliver = deliver;
	asker->connection = connection;
	asker->stream = stream;
	memcpy(asker->token, token ? token : "", token_size);
	if (token && !is_token(token)) {
		metric_add(challenges->none, 1);
		send_reply(asker, R_NONE, 0, "");
		free(asker);
		return R_OK;
	}
	pthread_mutex_lock(&challenges->lock);
	bool has_room = join_locked(challenges, asker, type, name);
	pthread_mutex_unlock(&challenges->lock);
	if (has_room)
		return R_OK;
	metric_add(challenges->limited, 1);
	free(asker);
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

	pthread_mutex_init(&challenges->lock, NULL);
	condition_init(&challenges->work);
	TAILQ_INIT(&challenges->pending);
	make_metrics(challenges);
	challenges->pg = pg_new(settings_string(settings, "database"), "postern-edge-challenges");
	if (pthread_create(&challenges->thread, NULL, challenges_main, challenges) != 0)
		abort();
	return challenges;
}

void challenges_free(struct challenges *challenges)
{
	struct question *question = NULL;
	struct asker *asker = NULL;

	if (!challenges)
		return;
	pthread_mutex_lock(&challenges->lock);
	challenges->stopping = true;
	pthread_cond_signal(&challenges->work);
	pthread_mutex_unlock(&challenges->lock);
	pthread_join(challenges->thread, NULL);
	while ((question = TAILQ_FIRST(&challenges->pending))) {
		TAILQ_REMOVE(&challenges->pending, question, link);
		while ((asker = TAILQ_FIRST(&question->askers))) {
			TAILQ_REMOVE(&question->askers, asker, link);
			free(asker);
		}
		free(question);
	}
	pg_free(challenges->pg);
	pthread_cond_destroy(&challenges->work);
	pthread_mutex_destroy(&challenges->lock);
	free(challenges);
}
