/*
 * The last handshakes of each name on this node: how many came to something since the start, how many did
 * not, why, and when last. Kept in memory alone, and told when somebody asks (explain_desk.h).
 *
 * Bounds, for each worker: 4,096 names that are ours, by what became of a handshake, and 1,024 that may be
 * anybody's; of either the one that was longest not heard of goes, so that a flood of invented names pushes
 * out no customer's. Six causes of a name; then the oldest goes. About 1.3 MB when full.
 *
 * Each worker writes to a table of its own, whose lock nobody else wants but who asks.
 */
#ifndef EDGE_HANDSHAKES_H
#define EDGE_HANDSHAKES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct handshakes;

enum handshake_end {
	HANDSHAKE_FULL,
	HANDSHAKE_RESUMED,
	HANDSHAKE_PASSED, /* on to a server whose TLS it is */
	HANDSHAKE_ENDS
};

struct handshakes *handshakes_new(size_t workers);
/* NULL is fine. */
void handshakes_free(struct handshakes *handshakes);

/* By the worker of that number. `name`: normalised; "" is nobody's and not kept. With `handshakes` NULL
 * nothing is kept. */
void handshakes_completed(
    struct handshakes *handshakes, size_t worker, const char *name, enum handshake_end end);

struct handshake_refusal {
	const char *cause; /* a static word, as the metrics have it */
	int alert;         /* that was sent; below 0: none by us */
	bool is_ours;      /* it got as far as a certificate of ours */
};
void handshakes_refused(
    struct handshakes *handshakes, size_t worker, const char *name, const struct handshake_refusal *refusal);

/* From any thread: what all workers have seen of the name, as a JSON object; free() it. `wall_ms`: the
 * wall clock.
 * {"full", "resumed", "passed", "last_at", "refusals": [{"cause", "alert", "count", "last_at"}], newest
 * first} */
char *handshakes_tell(struct handshakes *handshakes, const char *name, int64_t wall_ms);

/* Names that are kept, all workers together. */
size_t handshakes_count(struct handshakes *handshakes);

#endif
