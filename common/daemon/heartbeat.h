/*
 * Tells the fleet that this process is alive: a row of the table `nodes`, twice a minute, on a thread and a
 * database connection of its own. With the database away it is silent, and again a second after it is back.
 */
#ifndef COMMON_HEARTBEAT_H
#define COMMON_HEARTBEAT_H

#include "common/daemon/admin.h"
#include "common/pg/pg.h"

struct heartbeat;

enum { HEARTBEAT_NODE_MAX = 300 };

struct heartbeat_config {
	const char *conninfo;      /* copied */
	const char *role;          /* "edge", "acme", "verifier"; lives on */
	const struct admin *admin; /* its port tells the processes of a host apart; NULL: there is but one */
	/* What else is to be said after each beat, and when it is woken, on the same thread and connection;
	 * may be NULL. `node`: as heartbeat_node has it. */
	void (*more)(void *arg, struct pg *pg, const char *node);
	void *arg;
};

struct heartbeat *heartbeat_start(const struct heartbeat_config *config);
/* As the table has it: role@host:port. Lives as long as the heartbeat. */
const char *heartbeat_node(const struct heartbeat *heartbeat);
/* From any thread: `more` is called soon. */
void heartbeat_wake(struct heartbeat *heartbeat);
/* Takes the row away, if the database answers at once: a process that ended is not a dead one. NULL is fine.
 */
void heartbeat_stop(struct heartbeat *heartbeat);

#endif
