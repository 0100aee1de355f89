/*
 * The rows of webhooks as the issuers work on them: an endpoint is claimed, by a lease with a fence; its
 * messages are taken one after the other; what came of each is recorded. While one process has an endpoint no
 * other sends to it, so that messages go out in the order of time. At least once: what was sent and not
 * recorded is sent again.
 */
#ifndef ACME_WEBHOOK_DELIVERY_H
#define ACME_WEBHOOK_DELIVERY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/pg/pg.h"

/* DELIVERY_LEASE_MS: from the claim, and from each record, on; twice what a look-up, a try and its record
 * take. ANSWER: bytes that are kept of an answer. */
enum {
	DELIVERY_QUERY_MS = 5000,
	DELIVERY_LEASE_MS = 60 * 1000,
	DELIVERY_ERROR_SIZE = 400,
	DELIVERY_ANSWER_SIZE = 1024 + 1,
	DELIVERY_ID_SIZE = 40,
	ENDPOINT_SECRETS = 2,
};

struct endpoint_secret {
	unsigned char *sealed; /* NULL: there is none */
	size_t size;
	int64_t version;
};

struct endpoint {
	int64_t id;
	int64_t fence;
	char *url;
	struct endpoint_secret secrets[ENDPOINT_SECRETS]; /* the one in use, the former one while it counts */
	int failures;                                     /* in a row */
};
void endpoint_fini(struct endpoint *endpoint);

/* Up to `most` endpoints that have something due and are neither paused nor anybody's, in turns; *count: how
 * many. Free each with endpoint_fini. */
enum result endpoint_claim(
    struct pg *pg, size_t most, struct endpoint *out, size_t *count, struct error *error);
/* Others may have it at once. R_OK where it was not ours any more, too. */
enum result endpoint_release(struct pg *pg, const struct endpoint *endpoint, struct error *error);
/* Nothing is sent to it until its owner switches it on: `reason` is "failing" or "gone", `detail` a sentence
 * for the audit trail. R_LOST: it is not ours. */
enum result endpoint_switch_off(struct pg *pg, const struct endpoint *endpoint, const char *reason,
    const char *detail, struct error *error);

struct message {
	int64_t delivery;
	int attempts;
	char id[DELIVERY_ID_SIZE]; /* for the receiver: the same with each try */
	char *body;
};
void message_fini(struct message *message);

/* The message that has been due longest. R_NONE: none is, or the webhook is not what it was when it was
 * claimed. R_LOST: it is not ours any more. */
enum result message_next(
    struct pg *pg, const struct endpoint *endpoint, struct message *out, struct error *error);

/* What came of a try. */
struct outcome {
	bool delivered;
	int status; /* 0: there was no answer */
	int took_ms;
	int64_t retry_after_s;           /* 0: not asked for */
	const char *kind;                /* for the metric: delivered, status, network, barred, secret */
	char error[DELIVERY_ERROR_SIZE]; /* a sentence for the webhook's owner; "" where it was delivered */
	char answer[DELIVERY_ANSWER_SIZE];
};

/* Prolongs the lease; after a failure the endpoint is given back, paused. *too_long: it has failed for
 * `patience_ms`, and often. R_LOST: not ours any more, nothing was written. */
enum result delivery_record(struct pg *pg, struct endpoint *endpoint, const struct message *message,
    const struct outcome *outcome, int64_t patience_ms, bool *too_long, struct error *error);

#endif
