#include "acme/ask.h"

#include <stdlib.h>

#include "common/base/mem.h"
#include "common/daemon/metrics.h"
#include "common/log/log.h"

struct ask {
	const struct ask_endpoint *endpoint;
	CURL *easy; /* NULL without an endpoint */
	size_t body_size;
};

static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
	struct ask *ask = arg;
	(void)bytes;
	ask->body_size += size * count;
	return ask->body_size > ASK_BODY_MAX ? 0 : size * count;
}

struct ask *ask_new(const struct ask_endpoint *endpoint)
{
	struct ask *ask = mem_alloc(sizeof *ask);
	ask->endpoint = endpoint;
	if (!endpoint)
		return ask;
	ask->easy = curl_easy_init();
	if (!ask->easy)
		abort(); /* out of memory, as in common/base/mem.h */
	curl_easy_setopt(ask->easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(ask->easy, CURLOPT_WRITEDATA, ask);
	return ask;
}

void ask_free(struct ask *ask)
{
	if (!ask)
		return;
	curl_easy_cleanup(ask->easy);
	free(ask);
}

static void count(enum ask_verdict verdict)
{
	static const char *const labels[] = {
	    [ASK_ALLOWED] = "result=\"allowed\"",
	    [ASK_DENIED] = "result=\"denied\"",
	    [ASK_UNKNOWN] = "result=\"unknown\"",
	};
	metric_add(metrics_counter("postern_acme_asks_total", labels[verdict],
		       "Questions to the ask endpoint before a renewal, by what came of them."),
	    1);
}

enum ask_verdict ask_about(struct ask *ask, const char *name, long *status)
{
	*status = 0;
	if (!ask->easy)
		return ASK_ALLOWED;
	ask->body_size = 0;
	ask_endpoint_prepare(ask->endpoint, ask->easy, name, "postern-acme", ASK_TIMEOUT_MS);
	CURLcode code = curl_easy_perform(ask->easy);
	enum ask_verdict verdict = ask_endpoint_verdict(ask->easy, code, ask->body_size, status);
	count(verdict);
	if (verdict == ASK_UNKNOWN)
		log_warn("ask endpoint gives no answer: the renewal goes on", log_str("name", name),
		    log_int("status", *status), log_str("error", curl_easy_strerror(code)));
	return verdict;
}
