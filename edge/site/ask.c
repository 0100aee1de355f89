#include "edge/site/ask.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/daemon/metrics.h"
#include "common/log/log.h"
#include "common/net/hostname.h"
#include "edge/loop/log_rate.h"
#include "edge/site/ask_target.h"

enum { IDLE_WAIT_MS = 60 * 1000 };

struct question {
	TAILQ_ENTRY(question) link;
	CURL *easy;                /* NULL while it is queued */
	struct ask_target *target; /* whom it was put to: NULL while it is queued */
	int64_t asked_us;
	int64_t deadline_ms;
	size_t body_size;
	char name[HOSTNAME_MAX + 1];
};
TAILQ_HEAD(question_list, question);

struct ask {
	struct ask_config config;
	pthread_t thread;

	pthread_mutex_t lock;      /* covers what follows; curl's handles belong to the thread */
	struct ask_target *target; /* whom the next question is put to; NULL: nobody */
	struct question_list queue;
	size_t queued;
	bool stopping;

	CURLM *multi; /* curl_multi_wakeup may come from any thread */
	struct question_list running;
	size_t running_count;

	struct metric *verdicts[ASK_UNKNOWN + 1];
	struct histogram *duration;
};

/* ---- what an answer means ---- */

static void log_unknown(const struct question *question, CURLcode code, long status)
{
	const char *url = question->target->url;
	static struct log_rate rate;

	if (!log_rate_allows(&rate))
		return;
	if (code != CURLE_OK)
		log_warn("ask endpoint gives no answer", log_str("url", url), log_str("name", question->name),
		    log_str("error", curl_easy_strerror(code)));
	else if (status >= 300 && status < 500)
		log_warn("ask endpoint gives no usable answer: redirects are not followed, 401 wants "
			 "ask-token-file",
		    log_str("url", url), log_str("name", question->name), log_int("status", status));
	else
		log_warn("ask endpoint is in trouble", log_str("url", url), log_str("name", question->name),
		    log_int("status", status));
}

/* ---- one question ---- */

static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
	struct question *question = arg;

	(void)bytes;
	question->body_size += size * count;
	return question->body_size > ASK_BODY_MAX ? 0 : size * count;
}

static void question_start(struct ask *ask, struct question *question, int64_t now_ms)
{
	CURL *easy = curl_easy_init();

	if (!easy)
		abort(); /* out of memory, as in common/base/mem.h */
	ask_endpoint_prepare(&question->target->endpoint, easy, question->name, "postern-edge",
	    (long)(question->deadline_ms - now_ms));
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, question);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, question);
	question->easy = easy;
	curl_multi_add_handle(ask->multi, easy);
	TAILQ_INSERT_TAIL(&ask->running, question, link);
	ask->running_count++;
}

static void question_end(struct ask *ask, struct question *question)
{
	TAILQ_REMOVE(&ask->running, question, link);
	ask->running_count--;
	curl_multi_remove_handle(ask->multi, question->easy);
	curl_easy_cleanup(question->easy);
	ask_target_unref(question->target);
	free(question);
}

static void tell(struct ask *ask, const struct question *question, enum ask_verdict verdict)
{
	metric_add(ask->verdicts[verdict], 1);
	histogram_observe_us(ask->duration, clock_monotonic_us() - question->asked_us);
	ask->config.on_verdict(ask->config.arg, question->name, verdict);
}

static void question_answered(struct ask *ask, struct question *question, CURLcode code)
{
	long status = 0;
	enum ask_verdict verdict = ask_endpoint_verdict(question->easy, code, question->body_size, &status);

	if (verdict == ASK_UNKNOWN)
		log_unknown(question, code, status);
	tell(ask, question, verdict);
	question_end(ask, question);
}

/* ---- the thread ---- */

static struct question *take_queued(struct ask *ask)
{
	pthread_mutex_lock(&ask->lock);
	struct question *question = ask->stopping ? NULL : TAILQ_FIRST(&ask->queue);
	if (question) {
		TAILQ_REMOVE(&ask->queue, question, link);
		ask->queued--;
		question->target = ask->target ? ask_target_ref(ask->target) : NULL;
	}
	pthread_mutex_unlock(&ask->lock);
	return question;
}

static void start_queued(struct ask *ask)
{
	struct question *question = NULL;

	while (ask->running_count < ASK_PARALLEL && (question = take_queued(ask))) {
		int64_t now = clock_monotonic_ms();

		if (question->target && now < question->deadline_ms) {
			question_start(ask, question, now);
			continue;
		}
		tell(ask, question, ASK_UNKNOWN);
		ask_target_unref(question->target);
		free(question);
	}
}

static bool is_stopping(struct ask *ask)
{
	pthread_mutex_lock(&ask->lock);
	bool stopping = ask->stopping;
	pthread_mutex_unlock(&ask->lock);
	return stopping;
}

/* With all places taken, each is free at its own deadline, which is before that of any in the queue: so a
 * queued question is never late by more than a round. */
static void *ask_main(void *arg)
{
	struct ask *ask = arg;
	CURLMsg *message = NULL;
	int left = 0;

	while (!is_stopping(ask)) {
		start_queued(ask);
		curl_multi_perform(ask->multi, &left);
		while ((message = curl_multi_info_read(ask->multi, &left))) {
			struct question *question = NULL;

			if (message->msg != CURLMSG_DONE)
				continue;
			curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&question);
			question_answered(ask, question, message->data.result);
		}
		start_queued(ask);
		curl_multi_poll(ask->multi, NULL, 0, IDLE_WAIT_MS, NULL);
	}
	return NULL;
}

enum result ask_submit(struct ask *ask, const char *name)
{
	struct question *question = mem_alloc(sizeof *question);
	int64_t now_us = clock_monotonic_us();

	snprintf(question->name, sizeof question->name, "%s", name);
	question->asked_us = now_us;
	question->deadline_ms = now_us / 1000 + ask->config.deadline_ms;
	pthread_mutex_lock(&ask->lock);
	bool full = ask->queued == ASK_QUEUE;
	if (!full) {
		TAILQ_INSERT_TAIL(&ask->queue, question, link);
		ask->queued++;
	}
	pthread_mutex_unlock(&ask->lock);
	if (full) {
		free(question);
		return R_LIMIT;
	}
	curl_multi_wakeup(ask->multi);
	return R_OK;
}

/* ---- start and end ---- */

static void make_metrics(struct ask *ask)
{
	static const char *const labels[] = {"result=\"allowed\"", "result=\"denied\"", "result=\"unknown\""};

	for (int i = 0; i <= ASK_UNKNOWN; i++)
		ask->verdicts[i] = metrics_counter("postern_edge_asks_total", labels[i],
		    "Questions to the ask endpoint, by what came of them.");
	ask->duration = metrics_histogram("postern_edge_ask_duration_seconds", NULL,
	    "Time from a question to the ask endpoint being queued to its answer.");
}

static void free_ask(struct ask *ask)
{
	struct question *question = NULL;

	while ((question = TAILQ_FIRST(&ask->running)))
		question_end(ask, question);
	while ((question = TAILQ_FIRST(&ask->queue))) {
		TAILQ_REMOVE(&ask->queue, question, link);
		free(question);
	}
	curl_multi_cleanup(ask->multi);
	ask_target_unref(ask->target);
	pthread_mutex_destroy(&ask->lock);
	free(ask);
	curl_global_cleanup();
}

struct ask *ask_start(const struct ask_config *config)
{
	struct ask *ask = mem_alloc(sizeof *ask);

	curl_global_init(CURL_GLOBAL_DEFAULT);
	ask->config = *config;
	pthread_mutex_init(&ask->lock, NULL);
	TAILQ_INIT(&ask->queue);
	TAILQ_INIT(&ask->running);
	make_metrics(ask);
	ask->multi = curl_multi_init();
	curl_multi_setopt(ask->multi, CURLMOPT_MAXCONNECTS, (long)ASK_PARALLEL);
	if (pthread_create(&ask->thread, NULL, ask_main, ask) != 0)
		abort();
	return ask;
}

void ask_set_target(struct ask *ask, struct ask_target *target)
{
	pthread_mutex_lock(&ask->lock);
	struct ask_target *old = ask->target;
	ask->target = target ? ask_target_ref(target) : NULL;
	pthread_mutex_unlock(&ask->lock);
	ask_target_unref(old);
}

bool ask_has_target(struct ask *ask)
{
	pthread_mutex_lock(&ask->lock);
	bool has = ask->target;
	pthread_mutex_unlock(&ask->lock);
	return has;
}

void ask_stop(struct ask *ask)
{
	if (!ask)
		return;
	pthread_mutex_lock(&ask->lock);
	ask->stopping = true;
	pthread_mutex_unlock(&ask->lock);
	curl_multi_wakeup(ask->multi);
	pthread_join(ask->thread, NULL);
	free_ask(ask);
}
