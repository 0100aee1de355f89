/*
 * What is kept of one name, without the table that it is in. Pure.
 */
#ifndef EDGE_HANDSHAKES_INTERNAL_H
#define EDGE_HANDSHAKES_INTERNAL_H

#include "edge/site/handshakes.h"

enum { HANDSHAKES_OURS = 4096, HANDSHAKES_STRANGERS = 1024, HANDSHAKE_CAUSES = 6 };

struct handshake_record {
	uint64_t ends[HANDSHAKE_ENDS];
	int64_t last_ms; /* when one came to something, monotonic; 0: never */
	struct handshake_cause {
		const char *cause; /* NULL: none, and none behind it */
		int64_t last_ms;
		uint32_t count;
		int16_t alert;
	} causes[HANDSHAKE_CAUSES]; /* the one heard of last is first */
};

/* Can only a name have it that has a certificate, or an owner? */
bool handshake_cause_is_ours(const char *cause);
void handshake_record_refuse(
    struct handshake_record *record, const struct handshake_refusal *refusal, int64_t now_ms);
/* Another worker's to this one's. */
void handshake_record_add(struct handshake_record *all, const struct handshake_record *other);
/* `wall_ms`, `now_ms`: the two clocks (clock.h). */
char *handshake_record_json(const struct handshake_record *record, int64_t wall_ms, int64_t now_ms);

#endif
