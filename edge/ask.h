/*
 * The ask endpoint: may this name have a certificate? One thread asks many questions at once over kept
 * connections; what is not a definite answer is none.
 *
 * Limits: 256 questions under way, 4,096 behind them, each over at its deadline wherever it stands.
 */
#ifndef EDGE_ASK_H
#define EDGE_ASK_H

#include <stddef.h>

#include "common/ask_endpoint.h"
#include "common/result.h"

struct ask;

enum { ASK_PARALLEL = 256, ASK_QUEUE = 4096 };

struct ask_config {
	const char *url;     /* `domain=NAME` is added to its query */
	const char *ca_file; /* NULL: the system's CAs. Read at the start */
	const char *token;   /* NULL: none; sent as a bearer token */
	int deadline_ms;
	void (*on_verdict)(void *arg, const char *name, enum ask_verdict verdict); /* on the ask thread */
	void *arg;
};

enum result ask_start(struct ask **out, const struct ask_config *config, struct error *error);
/* Joins the thread. Questions under way get no verdict any more. NULL is let through. */
void ask_stop(struct ask *ask);
/* `name` is a normalised host name, which needs no escaping. R_LIMIT: the queue is full. Any thread. The same
 * name twice is asked twice: the caller keeps one flight per name. */
enum result ask_submit(struct ask *ask, const char *name);

#endif
