/*
 * Answers whoever wants a name explained with what this node has seen of it: names come in as notifications,
 * and a row goes out for each. Anyone may notify: 64 names wait, the next is not answered; each costs a look
 * into memory, all that wait one statement.
 */
#ifndef EDGE_EXPLAIN_DESK_H
#define EDGE_EXPLAIN_DESK_H

#include "common/pg/pg.h"
#include "edge/site/handshakes.h"

struct explain_desk;

struct explain_desk *explain_desk_new(struct handshakes *handshakes);
/* NULL is fine. */
void explain_desk_free(struct explain_desk *desk);

/* From any thread; `name` is normalised. False: there is no room. */
bool explain_desk_ask(struct explain_desk *desk, const char *name);
/* Answers all that wait, as `node`. */
void explain_desk_answer(struct explain_desk *desk, struct pg *pg, const char *node);

#endif
