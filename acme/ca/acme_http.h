/*
 * One HTTPS exchange with the CA: libcurl under limits. Connect within 5 s, everything within 30 s, the
 * answer whole within 10 s of its first header, no redirects, no decompression; the body has a maximum given
 * by the caller, the headers 64 KiB. A handle belongs to one thread, keeps its connections, and is reset
 * between requests.
 */
#ifndef ACME_ACME_HTTP_H
#define ACME_ACME_HTTP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "acme/ca/acme_msg.h"
#include "acme/ca/nonce.h"
#include "common/base/buf.h"
#include "common/base/result.h"

enum {
	ACME_BODY_MAX = 64 * 1024,
	ACME_CERTIFICATE_MAX = 128 * 1024,
	ACME_REQUEST_MAX = 64 * 1024,
	ACME_ALTERNATES_MAX = 4,
};

struct acme_http;

struct acme_response {
	int status;
	bool is_pem;                  /* application/pem-certificate-chain; parameters do not count */
	char nonce[NONCE_SIZE];       /* empty: none */
	char location[ACME_URL_SIZE]; /* empty: none, or no usable URL */
	int64_t retry_after;          /* seconds, -1: none */
	size_t alternate_count;       /* Link: rel="alternate" (RFC 8555 section 7.4.2) */
	char alternates[ACME_ALTERNATES_MAX][ACME_URL_SIZE];
	struct buf body;
};

void acme_response_init(struct acme_response *response);
void acme_response_fini(struct acme_response *response);

/* `ca_file` NULL: the system's certificates. Both strings and the flag must outlive the handle; a request
 * under way ends within a second of *abandon becoming true. */
struct acme_http *acme_http_new(const char *ca_file, const char *user_agent, const atomic_bool *abandon);
void acme_http_free(struct acme_http *http);

enum acme_method { ACME_GET, ACME_HEAD, ACME_POST };

/* `body` (POST, else NULL) is application/jose+json. R_OK: a whole answer of whatever status. R_DOWN: failed
 * before a POST's body went out. R_TIMEOUT: the CA may have got it. R_INVALID: the answer passed a limit.
 * Never sends a body twice. */
enum result acme_http_exchange(struct acme_http *http, enum acme_method method, const char *url,
    const struct buf *body, size_t body_max, struct acme_response *response, struct error *error);

/* Once, before any thread starts. */
enum result acme_http_global_init(struct error *error);

#endif
