/*
 * What the edges have seen of a name: asked of all of them by a notification, answered with a row each.
 */
#ifndef COMMON_EXPLAIN_EXPLAIN_EDGES_H
#define COMMON_EXPLAIN_EXPLAIN_EDGES_H

#include <libpq-fe.h>

#include "common/explain/explain_summary.h"

/* How long their answers are waited for. One that does not hear notifications is shown without. */
enum { EXPLAIN_EDGES_MS = 1500, EXPLAIN_EDGES_STEP_MS = 20 };

/* $1, $2 as in explain.h, $3: the time that asking returned. */
/* Asks; a row with the time, and none where a tenant asks for what it does not own. */
extern const char explain_edges_ask_sql[];
/* How many edges are alive and have not answered. */
extern const char explain_edges_missing_sql[];
/* A row for each edge: node, alive, answered_at, seen (edge/site/handshakes.h). A tenant gets the answers
 * alone, and numbers in the place of nodes. */
extern const char explain_edges_sql[];
/* The refusals that came after all that the same node completed, and after the name, as it is stored, was
 * last changed: node, at, cause. Not older than a day, and none of those that the domain's options ask for.
 */
extern const char explain_refusals_sql[];
/* The newest of those rows that somebody has to mend, if there is one, into facts->refused; the texts live as
 * long as the rows. */
void explain_refusals_read(const PGresult *rows, struct explain_facts *facts);

/* Why a handshake was refused, in words, and who mends it: customer, operator, ca, visitor (his client or his
 * network), nobody (it passes). Never NULL. */
struct refusal_cause {
	const char *cause, *who, *meaning;
};
const struct refusal_cause *refusal_cause_find(const char *cause);

#endif
