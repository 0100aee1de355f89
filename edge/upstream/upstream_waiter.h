/*
 * A request whose connection is not there yet: it rests, takes the first of its body, and moves to the
 * connection once it is known which version of HTTP that speaks.
 */
#ifndef EDGE_UPSTREAM_WAITER_H
#define EDGE_UPSTREAM_WAITER_H

#include <sys/queue.h>

#include "edge/upstream/upstream_call.h"

struct upstream_waiter;
TAILQ_HEAD(upstream_waiters, upstream_waiter);

/* What a request waits for. */
struct upstream_wait_list {
	struct upstream_waiters waiters;
	size_t count;
	/* The last one has left. */
	void (*on_empty)(struct upstream_wait_list *list);
};

void upstream_wait_list_init(
    struct upstream_wait_list *list, void (*on_empty)(struct upstream_wait_list *list));
/* Joins the list, behind the others. */
struct upstream_call *upstream_waiter_new(struct loop *loop, struct upstream_wait_list *list);
/* The first one starts on `call`, which it does not flush. */
void upstream_waiters_move_first(struct upstream_wait_list *list, struct upstream_call *call);
/* The first of `from` waits for `to` now, behind those who do already. on_empty is not called. */
void upstream_waiters_join_first(struct upstream_wait_list *to, struct upstream_wait_list *from);
/* All of them fail. on_empty is not called. */
void upstream_waiters_fail(struct upstream_wait_list *list, enum upstream_failure failure);

#endif
