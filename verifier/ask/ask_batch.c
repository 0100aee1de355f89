#include "verifier/ask/ask_batch.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/log/log.h"
#include "verifier/claim/domain.h"

/* Each that waited for the database in vain would make all behind it wait: after one has, nobody does for
 * PAUSE_MS. */
enum { TELLERS = 4, TOGETHER_MAX = 256, QUERY_MS = 1000, RECONNECT_MS = 250, PAUSE_MS = 250 };

STAILQ_HEAD(question_list, ask_question);

/* One thread with a connection of its own: while it waits for an answer the next question is another's. */
struct teller {
	struct ask_batch *batch;
	struct pg *pg;
	int64_t again_at_ms; /* until then the database is not waited for: it did not answer */
	pthread_t thread;
};

struct ask_batch {
	struct teller tellers[TELLERS];
	pthread_mutex_t lock; /* covers what follows */
	pthread_cond_t work;
	struct question_list queue;
	bool stopping;
};

/* Once more where the server had closed an idle connection: a denial of service to nobody but the first who
 * asks. */
static enum result look_up_twice(
    struct teller *teller, const char *const *names, size_t count, bool *allowed, struct error *error)
{
	enum result result = domains_are_allowed(teller->pg, QUERY_MS, names, count, allowed, error);
	if (result != R_DOWN || pg_wait_ready(teller->pg, RECONNECT_MS, NULL) != R_OK)
		return result;
	return domains_are_allowed(teller->pg, QUERY_MS, names, count, allowed, error);
}

static enum result look_up(
    struct teller *teller, const char *const *names, size_t count, bool *allowed, struct error *error)
{
	if (clock_monotonic_ms() < teller->again_at_ms) {
		error_set(error, "the database did not answer just before");
		return R_DOWN;
	}
	enum result result = look_up_twice(teller, names, count, allowed, error);
	if (result == R_DOWN || result == R_TIMEOUT)
		teller->again_at_ms = clock_monotonic_ms() + PAUSE_MS;
	return result;
}

static size_t take_locked(struct ask_batch *batch, struct question_list *taken)
{
	size_t count = 0;
	STAILQ_INIT(taken);
	for (; count < TOGETHER_MAX && !STAILQ_EMPTY(&batch->queue); count++) {
		struct ask_question *question = STAILQ_FIRST(&batch->queue);
		STAILQ_REMOVE_HEAD(&batch->queue, link);
		STAILQ_INSERT_TAIL(taken, question, link);
	}
	return count;
}

/* Who is answered may free his question. */
static void answer(struct teller *teller, struct question_list *taken, size_t count)
{
	const char *names[TOGETHER_MAX];
	bool allowed[TOGETHER_MAX];
	struct error error = {""};
	struct ask_question *question = NULL;
	size_t at = 0;
	STAILQ_FOREACH(question, taken, link)
	names[at++] = question->name.text;
	enum result result = look_up(teller, names, count, allowed, &error);
	if (result != R_OK)
		log_warn("ask not answered", log_str("domain", names[0]),
		    log_int("questions", (int64_t)count), log_str("error", error.text));
	for (at = 0; (question = STAILQ_FIRST(taken)); at++) {
		STAILQ_REMOVE_HEAD(taken, link);
		question->outcome = result != R_OK ? ASK_OUTCOME_DOWN
				    : allowed[at]  ? ASK_OUTCOME_ALLOWED
						   : ASK_OUTCOME_DENIED;
		question->on_answer(question);
	}
}

static void *teller_main(void *arg)
{
	struct teller *teller = arg;
	struct ask_batch *batch = teller->batch;
	struct question_list taken;
	pthread_mutex_lock(&batch->lock);
	while (!batch->stopping) {
		size_t count = take_locked(batch, &taken);
		if (count == 0) {
			pthread_cond_wait(&batch->work, &batch->lock);
			continue;
		}
		pthread_mutex_unlock(&batch->lock);
		answer(teller, &taken, count);
		pthread_mutex_lock(&batch->lock);
	}
	pthread_mutex_unlock(&batch->lock);
	return NULL;
}

struct ask_batch *ask_batch_start(const char *conninfo)
{
	struct ask_batch *batch = mem_alloc(sizeof *batch);
	pthread_mutex_init(&batch->lock, NULL);
	pthread_cond_init(&batch->work, NULL);
	STAILQ_INIT(&batch->queue);
	for (int i = 0; i < TELLERS; i++) {
		struct teller *teller = &batch->tellers[i];
		teller->batch = batch;
		teller->pg = pg_new(conninfo, "postern-verifier ask");
		if (pthread_create(&teller->thread, NULL, teller_main, teller) != 0)
			abort();
	}
	return batch;
}

void ask_batch_stop(struct ask_batch *batch)
{
	if (!batch)
		return;
	pthread_mutex_lock(&batch->lock);
	batch->stopping = true;
	pthread_cond_broadcast(&batch->work);
	pthread_mutex_unlock(&batch->lock);
	for (int i = 0; i < TELLERS; i++) {
		pthread_join(batch->tellers[i].thread, NULL);
		pg_free(batch->tellers[i].pg);
	}
	assert(STAILQ_EMPTY(&batch->queue));
	pthread_cond_destroy(&batch->work);
	pthread_mutex_destroy(&batch->lock);
	free(batch);
}

void ask_batch_put(struct ask_batch *batch, struct ask_question *question)
{
	pthread_mutex_lock(&batch->lock);
	STAILQ_INSERT_TAIL(&batch->queue, question, link);
	pthread_cond_signal(&batch->work);
	pthread_mutex_unlock(&batch->lock);
}
