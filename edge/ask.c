#include "edge/ask.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/hostname.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "edge/log_rate.h"

enum { CA_FILE_MAX = 1024 * 1024, TOKEN_MAX = 8192, IDLE_WAIT_MS = 60 * 1000 };

struct question {
	TAILQ_ENTRY(question) link;
	CURL *easy; /* NULL while it is queued */
	int64_t asked_us;
	int64_t deadline_ms;
	size_t body_size;
	char name[HOSTNAME_MAX + 1];
};
TAILQ_HEAD(question_list, question);

struct ask {
	struct ask_config config;
	char *url; /* up to and with `domain=` */
	struct buf ca;
	struct curl_slist *headers;
	pthread_t thread;

	pthread_mutex_t lock; /* covers what follows; curl's handles belong to the thread */
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

static enum ask_verdict verdict_of_status(long status)
{
	static const long not_about_the_name[] = {401, 407, 408, 425, 429};

	if (status >= 200 && status < 300)
		return ASK_ALLOWED;
	for (size_t i = 0; i < sizeof not_about_the_name / sizeof *not_about_the_name; i++) {
		if (status == not_about_the_name[i])
			return ASK_UNKNOWN;
	}
	return status >= 400 && status < 500 ? ASK_DENIED : ASK_UNKNOWN;
}

/* A body that went over its maximum was cut by us: the status that came before it counts. */
static enum ask_verdict verdict_of(const struct question *question, CURLcode code, long *status)
{
	*status = 0;
	curl_easy_getinfo(question->easy, CURLINFO_RESPONSE_CODE, status);
	if (code == CURLE_OK || (code == CURLE_WRITE_ERROR && question->body_size > ASK_BODY_MAX))
		return verdict_of_status(*status);
	return ASK_UNKNOWN;
}

static void log_unknown(const struct ask *ask, const struct question *question, CURLcode code, long status)
{
	static struct log_rate rate;

	if (!log_rate_allows(&rate))
		return;
	if (code != CURLE_OK)
		log_warn("ask endpoint gives no answer", log_str("url", ask->config.url),
		    log_str("name", question->name), log_str("error", curl_easy_strerror(code)));
	else if (status >= 300 && status < 500)
		log_warn("ask endpoint gives no usable answer: redirects are not followed, 401 wants "
			 "ask-token-file",
		    log_str("url", ask->config.url), log_str("name", question->name),
		    log_int("status", status));
	else
		log_warn("ask endpoint is in trouble", log_str("url", ask->config.url),
		    log_str("name", question->name), log_int("status", status));
}

/* ---- one question ---- */

static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
	struct question *question = arg;

	(void)bytes;
	question->body_size += size * count;
	return question->body_size > ASK_BODY_MAX ? 0 : size * count;
}

static void set_transport(const struct ask *ask, CURL *easy)
{
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	if (buf_size(&ask->ca) > 0) {
		struct curl_blob ca = {
		    .data = (void *)(uintptr_t)buf_bytes(&ask->ca), .len = buf_size(&ask->ca)};

		curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &ca);
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	}
}

static void question_start(struct ask *ask, struct question *question, int64_t now_ms)
{
	char *url = mem_alloc(strlen(ask->url) + strlen(question->name) + 1);
	CURL *easy = curl_easy_init();

	if (!easy)
		abort(); /* out of memory, as in common/mem.h */
	strcat(strcpy(url, ask->url), question->name);
	curl_easy_setopt(easy, CURLOPT_URL, url);
	free(url);
	set_transport(ask, easy);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "postern-edge");
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, ask->headers);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(question->deadline_ms - now_ms));
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
	enum ask_verdict verdict = verdict_of(question, code, &status);

	if (verdict == ASK_UNKNOWN)
		log_unknown(ask, question, code, status);
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
	}
	pthread_mutex_unlock(&ask->lock);
	return question;
}

static void start_queued(struct ask *ask)
{
	struct question *question = NULL;

	while (ask->running_count < ASK_PARALLEL && (question = take_queued(ask))) {
		int64_t now = clock_monotonic_ms();

		if (now < question->deadline_ms) {
			question_start(ask, question, now);
		} else {
			tell(ask, question, ASK_UNKNOWN);
			free(question);
		}
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

static enum result make_url(struct ask *ask, struct error *error)
{
	CURLU *url = curl_url();
	char *text = NULL;
	CURLUcode code = curl_url_set(url, CURLUPART_URL, ask->config.url, 0);

	if (code == CURLUE_OK)
		code = curl_url_set(url, CURLUPART_QUERY, "domain=", CURLU_APPENDQUERY);
	if (code == CURLUE_OK)
		code = curl_url_set(url, CURLUPART_FRAGMENT, NULL, 0);
	if (code == CURLUE_OK)
		code = curl_url_get(url, CURLUPART_URL, &text, 0);
	if (code == CURLUE_OK)
		ask->url = mem_string(text);
	else
		error_set(error, "ask-url %s: %s", ask->config.url, curl_url_strerror(code));
	curl_free(text);
	curl_url_cleanup(url);
	return code == CURLUE_OK ? R_OK : R_INVALID;
}

/* Read now: once the process has given up its rights it may not be able to. */
static enum result read_ca(struct ask *ask, struct error *error)
{
	FILE *file = NULL;
	char *space = NULL;
	size_t room = 0, got = 0;

	if (!ask->config.ca_file)
		return R_OK;
	file = fopen(ask->config.ca_file, "re");
	if (!file) {
		error_set(error, "ask-ca %s: %s", ask->config.ca_file, strerror(errno));
		return R_INVALID;
	}
	do {
		room = buf_reserve(&ask->ca, 4096, &space);
		got = room ? fread(space, 1, room, file) : 0;
		buf_commit(&ask->ca, got);
	} while (got > 0);
	bool whole = feof(file) && buf_size(&ask->ca) > 0;
	fclose(file);
	if (!whole)
		error_set(
		    error, "ask-ca %s: cannot be read, is empty or has over 1 MiB", ask->config.ca_file);
	return whole ? R_OK : R_INVALID;
}

static enum result make_headers(struct ask *ask, struct error *error)
{
	struct buf line;
	enum result result = R_OK;

	if (!ask->config.token)
		return R_OK;
	buf_init(&line, TOKEN_MAX);
	if (strpbrk(ask->config.token, "\r\n") ||
	    buf_append_format(&line, "Authorization: Bearer %s", ask->config.token) != R_OK) {
		error_set(error, "ask-token: is too long or has more than one line");
		result = R_INVALID;
	} else {
		ask->headers = curl_slist_append(NULL, buf_string(&line));
	}
	buf_wipe(&line);
	return result;
}

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
	curl_slist_free_all(ask->headers);
	buf_fini(&ask->ca);
	pthread_mutex_destroy(&ask->lock);
	free(ask->url);
	free(ask);
	curl_global_cleanup();
}

enum result ask_start(struct ask **out, const struct ask_config *config, struct error *error)
{
	struct ask *ask = mem_alloc(sizeof *ask);
	enum result result = R_ERROR;

	*out = NULL;
	curl_global_init(CURL_GLOBAL_DEFAULT);
	ask->config = *config;
	buf_init(&ask->ca, CA_FILE_MAX);
	pthread_mutex_init(&ask->lock, NULL);
	TAILQ_INIT(&ask->queue);
	TAILQ_INIT(&ask->running);
	make_metrics(ask);
	ask->multi = curl_multi_init();
	curl_multi_setopt(ask->multi, CURLMOPT_MAXCONNECTS, (long)ASK_PARALLEL);
	if ((result = make_url(ask, error)) != R_OK || (result = read_ca(ask, error)) != R_OK ||
	    (result = make_headers(ask, error)) != R_OK) {
		free_ask(ask);
		return result;
	}
	if (pthread_create(&ask->thread, NULL, ask_main, ask) != 0)
		abort();
	*out = ask;
	return R_OK;
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
