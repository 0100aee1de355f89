/*
 * Who may come in: the bounds on connections and on their memory, and the answer for those who may not. The
 * newest is turned away with a word (an alert, or 503 on port 80), those who are in keep their places.
 */
#ifndef EDGE_ADMISSION_H
#define EDGE_ADMISSION_H

#include "common/net/net.h"
#include "edge/worker.h"

enum {
	/* What a connection costs beside its buffers, about: the SSL, this program's structs, the kernel not
	 * counted. */
	ADMISSION_CONNECTION_BYTES = 20 * 1024,
	ADMISSION_LOOK_MS = 10, /* how old a worker's idea of the memory in use may be */
};

/* A place among the connections. NULL: it is taken, and admission_give gives it back; else the cause. */
const char *admission_take(struct worker *worker);
void admission_give(struct worker *worker);

/* Is more memory in use than connections may have? */
bool admission_is_short_of_memory(struct worker *worker);

/* What connections have in use, about: their own share and all buffers. */
int64_t admission_memory(const struct edge *edge);

/* Says no on a fresh socket, and closes it. */
void admission_turn_away(struct worker *worker, int fd, bool tls, const char *cause);

#endif
