/*
 * A deadline that moves with every step forward. Moving it later costs two stores: the loop's timer stays
 * where it is and, when it expires, is set again for the rest.
 */
#ifndef EDGE_DEADLINE_H
#define EDGE_DEADLINE_H

#include "edge/loop/loop.h"

struct deadline {
	struct loop *loop;
	struct loop_timer timer;
	int64_t at_ms; /* 0: none */
	void (*on_pass)(struct deadline *deadline);
};

void deadline_init(struct deadline *deadline, struct loop *loop, void (*on_pass)(struct deadline *deadline));
void deadline_fini(struct deadline *deadline);
void deadline_set(struct deadline *deadline, int64_t delay_ms);
static inline void deadline_clear(struct deadline *deadline)
{
	deadline->at_ms = 0;
}
static inline bool deadline_is_set(const struct deadline *deadline)
{
	return deadline->at_ms != 0;
}

#endif
