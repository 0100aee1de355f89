/*
 * The ask endpoint: may this name have a certificate? One thread asks many questions at once over kept
 * connections; what is not a definite answer is none.
 *
 * Limits: 256 questions under way, 4,096 behind them, each over at its deadline wherever it stands.
 */
#ifndef EDGE_ASK_H
#define EDGE_ASK_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/result.h"
#include "common/domain/ask_endpoint.h"

struct ask;
struct ask_target;

enum { ASK_PARALLEL = 256, ASK_QUEUE = 4096 };

struct ask_config {
	int deadline_ms;
	void (*on_verdict)(void *arg, const char *name, enum ask_verdict verdict); /* on the ask thread */
	void *arg;
};

struct ask *ask_start(const struct ask_config *config);
/* Whom the next questions are put to: takes a reference of its own. Before the first, and with NULL, nobody
 * can be asked, and every verdict is ASK_UNKNOWN. Questions that are with the former one end there. Any
 * thread. */
void ask_set_target(struct ask *ask, struct ask_target *target);
bool ask_has_target(struct ask *ask);
/* Joins the thread. Questions under way get no verdict any more. NULL is let through. */
void ask_stop(struct ask *ask);
/* `name` is a normalised host name, which needs no escaping. R_LIMIT: the queue is full. Any thread. The same
 * name twice is asked twice: the caller keeps one flight per name. */
enum result ask_submit(struct ask *ask, const char *name);

#endif
