/*
 * ACME challenges of any node's orders, answered by this node out of PostgreSQL's primary, on a connection
 * and a thread of its own that site look-ups cannot delay. Every reply comes within 2 s.
 *
 * Limits: 1,024 names waiting to be looked up, 16,384 who wait for an answer. Look-ups of one name share a
 * query, so that nobody can crowd a CA's probes out by asking for the same name.
 */
#ifndef EDGE_CHALLENGE_H
#define EDGE_CHALLENGE_H

#include "common/settings/settings.h"
#include "edge/loop/mailbox.h"

struct challenges;

enum challenge_type { CHALLENGE_TLS_ALPN, CHALLENGE_HTTP };

/* Comes to the asking worker's mailbox, whether found or not. */
struct challenge_reply {
	struct message message;
	uint64_t connection; /* as given to challenges_find */
	int32_t stream;      /* the same */
	enum result result;  /* R_OK, R_NONE, R_DOWN */
	int64_t id;          /* row, for challenges_mark_seen */
	char key_authorization[512];
};

struct challenges *challenges_new(const struct settings *settings);
void challenges_free(struct challenges *challenges);

/* `stream` says which of a connection's requests asks, 0 where it has one at a time. `token` NULL for
 * tls-alpn-01. `deliver` frees the reply. R_LIMIT: too many look-ups are under
 * way (nothing will be delivered). Any thread. */
enum result challenges_find(struct challenges *challenges, struct mailbox *mailbox,
    void (*deliver)(struct message *message, void *receiver), uint64_t connection, int32_t stream,
    enum challenge_type type, const char *name, const char *token);
/* An answer has gone out: marks the row, once, in the background. */
void challenges_mark_seen(struct challenges *challenges, int64_t id);

#endif
