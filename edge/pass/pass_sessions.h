/*
 * Which server made a TLS 1.2 session: learnt from what servers say first, asked when a client comes back
 * with the id. Shared by all workers, since a client's next connection may come to any of them; a lock held
 * for a hash look-up.
 *
 * Bounds: `max` sessions, each forgotten `life_ms` after its last use; the least recently used makes room.
 * Ids are kept by the group that they were learnt in: no server can claim another group's clients.
 */
#ifndef EDGE_PASS_SESSIONS_H
#define EDGE_PASS_SESSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/net/net.h"

struct pass_sessions;

enum { PASS_SESSIONS_MAX = 30 * 1000, PASS_SESSIONS_LIFE_MS = 30 * 60 * 1000, PASS_SESSION_ID_MAX = 32 };

/* A session as its group knows it. */
struct pass_session {
	uint64_t group; /* a hash of the group's key */
	const void *id;
	size_t size; /* at most PASS_SESSION_ID_MAX */
};

struct pass_sessions *pass_sessions_new(size_t max, int64_t life_ms);
void pass_sessions_free(struct pass_sessions *sessions); /* NULL is fine */

/* True: *server made it. Its time begins anew. */
bool pass_sessions_find(struct pass_sessions *sessions, const struct pass_session *session, int64_t now_ms,
    struct net_address *server);
/* One that is known already is the other server's from now on. */
void pass_sessions_learn(struct pass_sessions *sessions, const struct pass_session *session, int64_t now_ms,
    const struct net_address *server);
size_t pass_sessions_count(struct pass_sessions *sessions);

#endif
