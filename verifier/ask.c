#include "verifier/ask.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "verifier/claim/domain.h"
#include "verifier/http/bearer.h"
#include "verifier/http/mhd.h"

/* One thread answers all: each that waited for the database in vain would make all behind it wait. After one
 * has, nobody does for PAUSE_MS. */
enum { QUERY_MS = 1000, RECONNECT_MS = 250, PAUSE_MS = 250, CONNECTIONS = 1024 };

struct ask {
	const struct config *config;
	struct pg *pg;       /* used by the server's one thread only */
	int64_t again_at_ms; /* until then the database is not waited for: it did not answer */
	struct mhd_server *server;
	struct metric *allowed, *denied, *down, *refused;
};

/* Once more where the server had closed an idle connection: a denial of service to nobody but the first who
 * asks. */
static enum result look_up_twice(struct ask *ask, const char *name, bool *allowed, struct error *error)
{
	enum result result = domain_is_allowed(ask->pg, QUERY_MS, name, allowed, error);
	if (result != R_DOWN || pg_wait_ready(ask->pg, RECONNECT_MS, NULL) != R_OK)
		return result;
	return domain_is_allowed(ask->pg, QUERY_MS, name, allowed, error);
}

static enum result look_up(struct ask *ask, const char *name, bool *allowed, struct error *error)
{
	if (clock_monotonic_ms() < ask->again_at_ms) {
		error_set(error, "the database did not answer just before");
		return R_DOWN;
	}
	enum result result = look_up_twice(ask, name, allowed, error);
	if (result == R_DOWN || result == R_TIMEOUT)
		ask->again_at_ms = clock_monotonic_ms() + PAUSE_MS;
	return result;
}

/* A wildcard is asked for by the issuer alone: the platform's own. */
static bool is_name(const char *text, struct hostname *name)
{
	size_t size = strlen(text);
	return hostname_parse_sni(name, text, size) == HOSTNAME_OK ||
	       hostname_parse_wildcard(name, text, size) == HOSTNAME_OK;
}

static void answer(struct ask *ask, const char *domain, struct mhd_reply *reply)
{
	struct hostname name;
	bool allowed = false;
	struct error error = {""};
	if (is_name(domain, &name) && look_up(ask, name.text, &allowed, &error) != R_OK) {
		log_warn("ask not answered", log_str("domain", name.text), log_str("error", error.text));
		metric_add(ask->down, 1);
		mhd_reply_text(reply, MHD_HTTP_SERVICE_UNAVAILABLE, "the database cannot be reached\n");
		return;
	}
	metric_add(allowed ? ask->allowed : ask->denied, 1);
	mhd_reply_text(
	    reply, allowed ? MHD_HTTP_OK : MHD_HTTP_FORBIDDEN, allowed ? "allowed\n" : "not allowed\n");
}

static void refuse(struct ask *ask, struct mhd_reply *reply, unsigned status, const char *text)
{
	metric_add(ask->refused, 1);
	mhd_reply_text(reply, status, text);
}

static void on_ask(void *arg, const struct mhd_request *request, struct mhd_reply *reply)
{
	struct ask *ask = arg;
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
		answer(ask, domain, reply);
	}
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
	ask->pg = pg_new(settings_string(config->settings, "database"), "postern-verifier ask");
	ask->allowed = count_of("code=\"200\"");
	ask->denied = count_of("code=\"403\"");
	ask->down = count_of("code=\"503\"");
	ask->refused = count_of("code=\"4xx\"");
	struct mhd_options options = {.fd = fd,
	    .connections = CONNECTIONS,
	    .certificate = config->ask_certificate,
	    .key = config->ask_key,
	    .handle = on_ask,
	    .arg = ask};
	enum result result = mhd_server_start(&ask->server, &options, error);
	if (result != R_OK) {
		pg_free(ask->pg);
		free(ask);
		return result;
	}
	*out = ask;
	return R_OK;
}

void ask_stop(struct ask *ask)
{
	if (!ask)
		return;
	mhd_server_stop(ask->server);
	pg_free(ask->pg);
	free(ask);
}
