/*
 * One message to one endpoint: a POST by libcurl under limits, driven by somebody's multi handle. Connect
 * within 5 s, everything within 15 s, of the answer 32 KiB of header and 64 KiB of body; no redirects, no
 * proxy, nothing decompressed; TLS 1.2 or newer, verified. Each connection's address is looked at when its
 * socket is made, whatever its name was resolved to. Belongs to one thread.
 */
#ifndef ACME_WEBHOOK_POST_H
#define ACME_WEBHOOK_POST_H

#include <curl/curl.h>

#include "acme/webhook/delivery.h"
#include "common/dns/webhook_target.h"

enum { POST_CONNECT_MS = 5 * 1000, POST_MS = 15 * 1000 };

struct post;

/* Both must outlive it. `ca_file` NULL: the system's certificates alone; else those of the file, too. */
struct post *post_new(const struct webhook_rules *rules, const char *ca_file);
/* Not while it is under way. */
void post_free(struct post *post);

struct post_request {
	const struct webhook_target *target;
	const char *addresses; /* of its host, as CURLOPT_RESOLVE takes them; NULL where the URL has one */
	const char *id;
	int64_t timestamp;
	const char *signatures; /* separated by spaces */
	const char *body;
};

/* Copies what it needs, `body` apart, which must live until the end. The handle's CURLOPT_PRIVATE is `owner`.
 */
void post_begin(struct post *post, CURLM *multi, const struct post_request *request, void *owner);
/* libcurl says that it is done. */
void post_end(struct post *post, CURLM *multi, CURLcode code, struct outcome *out);
/* Cut off in the middle. */
void post_cancel(struct post *post, CURLM *multi);

#endif
