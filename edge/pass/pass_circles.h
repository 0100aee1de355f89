/*
 * Has this connection been here before? A server's name that leads to this node, or to the balancer before
 * it, would bring each connection back to be passed on again, until nobody has a descriptor left. A hello's
 * random bytes tell: it goes round where the same are on their way PASS_TURNS_MAX times, which leaves room
 * for probes that always send the same hello and for connections that are opened anew a moment before they
 * end.
 *
 * Of PASS_CIRCLES_MAX hellos that no server has answered yet one slot each is kept, shared by all workers
 * without a lock. One that is overwritten is counted anew.
 */
#ifndef EDGE_PASS_CIRCLES_H
#define EDGE_PASS_CIRCLES_H

#include <stdbool.h>
#include <stdint.h>

struct pass_circles;

enum { PASS_CIRCLES_MAX = 8192, PASS_TURNS_MAX = 8, PASS_RANDOM_SIZE = 32 };

struct pass_circles *pass_circles_new(void);
void pass_circles_free(struct pass_circles *circles); /* NULL is fine */

/* True: it is on its way, until pass_circles_leave(*mark). False: it is on its way often enough, and has not
 * entered. */
bool pass_circles_enter(struct pass_circles *circles, const uint8_t random[PASS_RANDOM_SIZE], uint64_t *mark);
/* A server has answered, or nobody waits for one any more. 0: nothing to leave. */
void pass_circles_leave(struct pass_circles *circles, uint64_t mark);

#endif
