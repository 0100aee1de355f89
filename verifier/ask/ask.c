#include "verifier/ask/ask.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/daemon/metrics.h"
#include "verifier/ask/ask_batch.h"
#include "verifier/http/bearer.h"
#include "verifier/http/mhd.h"

enum { CONNECTIONS = 1024 };

struct ask {
	const struct config *config;
	struct ask_batch *batch;
	struct mhd_server *server;
	struct metric *allowed, *denied, *down, *refused;
};

/* What a request waits for. */
struct wait {
	struct ask_question question;
	struct MHD_Connection *connection;
};

/* On the batch's thread. */
static void on_answer(struct ask_question *question)
{
	struct wait *wait = (struct wait *)question;
	mhd_resume(wait->connection);
}

static void drop_wait(void *arg, void *wait)
{
	(void)arg;
	free(wait);
}

/* A wildcard is asked for by the issuer alone: the platform's own. */
static bool is_name(const char *text, struct hostname *name)
{
	size_t size = strlen(text);
	return hostname_parse_sni(name, text, size) == HOSTNAME_OK ||
	       hostname_parse_wildcard(name, text, size) == HOSTNAME_OK;
}

static void reply_outcome(struct ask *ask, struct mhd_reply *reply, enum ask_outcome outcome)
{
	switch (outcome) {
	case ASK_OUTCOME_ALLOWED:
		metric_add(ask->allowed, 1);
		mhd_reply_text(reply, MHD_HTTP_OK, "allowed\n");
		return;
	case ASK_OUTCOME_DENIED:
		metric_add(ask->denied, 1);
		mhd_reply_text(reply, MHD_HTTP_FORBIDDEN, "not allowed\n");
		return;
	case ASK_OUTCOME_DOWN:
		metric_add(ask->down, 1);
		mhd_reply_text(reply, MHD_HTTP_SERVICE_UNAVAILABLE, "the database cannot be reached\n");
		return;
	}
}

/* Suspended first: the answer may be there before this returns. */
static void put_question(struct ask *ask, const struct mhd_request *request, const struct hostname *name)
{
	struct wait *wait = mem_alloc(sizeof *wait);
	wait->question.name = *name;
	wait->question.on_answer = on_answer;
	wait->connection = request->connection;
	mhd_request_suspend(request, wait);
	ask_batch_put(ask->batch, &wait->question);
}

static void answer(
    struct ask *ask, const struct mhd_request *request, const char *domain, struct mhd_reply *reply)
{
	struct hostname name;
	if (is_name(domain, &name))
		put_question(ask, request, &name);
	else
		reply_outcome(ask, reply, ASK_OUTCOME_DENIED);
}

static void refuse(struct ask *ask, struct mhd_reply *reply, unsigned status, const char *text)
{
	metric_add(ask->refused, 1);
	mhd_reply_text(reply, status, text);
}

static void take(struct ask *ask, const struct mhd_request *request, struct mhd_reply *reply)
{
	const char *domain = mhd_request_query(request, "domain");
	if (ask->config->ask_token_set && !bearer_matches(request, ask->config->ask_token_hash)) {
		refuse(ask, reply, MHD_HTTP_UNAUTHORIZED,
		    "the token of ask-token-file is needed as a bearer token\n");
		mhd_reply_header(reply, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
	} else if (strcmp(request->path, "/domains/verify") != 0 && strcmp(request->path, "/ask") != 0) {
		refuse(ask, reply, MHD_HTTP_NOT_FOUND, "try /domains/verify?domain=NAME\n");
	} else if (strcmp(request->method, "GET") != 0) {
		refuse(ask, reply, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
		mhd_reply_header(reply, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	} else if (!domain || !*domain) {
		refuse(ask, reply, MHD_HTTP_BAD_REQUEST, "the parameter domain is missing: ?domain=NAME\n");
	} else {
		answer(ask, request, domain, reply);
	}
}

static void on_ask(void *arg, const struct mhd_request *request, struct mhd_reply *reply)
{
	struct ask *ask = arg;
	const struct wait *wait = request->waited_for;
	if (wait)
		reply_outcome(ask, reply, wait->question.outcome);
	else
		take(ask, request, reply);
	mhd_reply_header(reply, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
}

static struct metric *count_of(const char *labels)
{
	return metrics_counter(
	    "postern_verifier_ask_answers_total", labels, "Answers of the ask endpoint by HTTP status.");
}

enum result ask_start(struct ask **out, const struct config *config, int fd, struct error *error)
{
	struct ask *ask = mem_alloc(sizeof *ask);
	ask->config = config;
	ask->allowed = count_of("code=\"200\"");
	ask->denied = count_of("code=\"403\"");
	ask->down = count_of("code=\"503\"");
	ask->refused = count_of("code=\"4xx\"");
	ask->batch = ask_batch_start(settings_string(config->settings, "database"));
	struct mhd_options options = {.fd = fd,
	    .connections = CONNECTIONS,
	    .certificate = config->ask_certificate,
	    .key = config->ask_key,
	    .client_ca = config->ask_client_ca,
	    .handle = on_ask,
	    .drop = drop_wait,
	    .arg = ask};
	enum result result = mhd_server_start(&ask->server, &options, error);
	if (result != R_OK) {
		ask_batch_stop(ask->batch);
		free(ask);
		return result;
	}
	*out = ask;
	return R_OK;
}

/* The server first: its requests wait for answers. */
void ask_stop(struct ask *ask)
{
	if (!ask)
		return;
	mhd_server_stop(ask->server);
	ask_batch_stop(ask->batch);
	free(ask);
}
