/*
 * The ask endpoint as everybody who asks sees it: the URL of a question, how it is carried, and what a status
 * means. Who asks many at once (the edge) and who asks one and waits (the issuer) have curl drive it.
 *
 * Limits: of an answer 4 KiB are read, redirects are not followed, proxies of the environment not used.
 */
#ifndef COMMON_ASK_ENDPOINT_H
#define COMMON_ASK_ENDPOINT_H

#include <curl/curl.h>

#include "common/base/buf.h"
#include "common/base/result.h"

enum ask_verdict {
	ASK_ALLOWED, /* 2xx */
	ASK_DENIED,  /* 4xx, but for those that speak of the question rather than of the name: 401, 407, 408,
			425, 429 */
	ASK_UNKNOWN, /* everything else: worth asking again later */
};

enum { ASK_BODY_MAX = 4096 };

/* The settings ask-…, each of which may be NULL, but for the URL. */
struct ask_endpoint_config {
	const char *url;
	const char *ca_file;                            /* NULL: the system's CAs */
	const char *token;                              /* sent as a bearer token */
	const char *client_cert_file, *client_key_file; /* PEM: shown to an endpoint that wants one */
};

struct ask_endpoint {
	char *url; /* up to and with `domain=` */
	struct buf ca;
	struct buf client_cert, client_key;
	struct curl_slist *headers;
};

/* What `settings` say; where ask-url is not set, url is NULL and nobody is asked. */
struct settings;
struct ask_endpoint_config ask_endpoint_settings(const struct settings *settings);
/* Files are read now, since once the process has given up its rights it may not be able to. R_INVALID: the
 * error names the setting. On failure nothing is left to free. */
enum result ask_endpoint_init(
    struct ask_endpoint *endpoint, const struct ask_endpoint_config *config, struct error *error);
void ask_endpoint_fini(struct ask_endpoint *endpoint);

/* Sets up one question; the endpoint outlives it. `name` is a normalised host name, which needs no escaping.
 */
void ask_endpoint_prepare(const struct ask_endpoint *endpoint, CURL *easy, const char *name,
    const char *user_agent, long timeout_ms);

/* What came of it. `body_size`: what was read; a body that went over its maximum was cut by us: the status
 * that came before it counts. */
enum ask_verdict ask_endpoint_verdict(CURL *easy, CURLcode code, size_t body_size, long *status);

#endif
