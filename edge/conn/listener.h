/*
 * A worker's share of a listening address: one of several sockets on it (SO_REUSEPORT), from which the worker
 * accepts in bounded batches. Out of descriptors it tells
 * those who come so, by a descriptor kept for that.
 */
#ifndef EDGE_LISTENER_H
#define EDGE_LISTENER_H

#include "common/net/net.h"
#include "edge/worker.h"

struct listener;

enum { LISTENER_BATCH = 32, LISTENER_PAUSE_MS = 100 };

/* Takes the descriptor. Each connection goes to conn_accept. */
struct listener *listener_new(struct worker *worker, int fd, struct listen_point point);
/* Begins to accept. R_LIMIT: the kernel has no more room. */
enum result listener_start(struct listener *listener);
/* The beginning of a drain: no new connection comes to the queue any more, but those that had begun. */
void listener_stop_new(struct listener *listener);
/* Accepts until nothing is queued: the step before listener_close, which would reset what is. Returns how
 * many. */
int listener_accept_queued(struct listener *listener);
/* How many connections are queued, as far as the kernel tells. */
int listener_queued(const struct listener *listener);
void listener_close(struct listener *listener);
void listener_free(struct listener *listener);

/* Sockets for every worker on one address, before rights are dropped: fds[0 … count-1]. With port 0 they all
 * share the port that the first one got; *local is the address they are bound to. */
enum result listener_bind(
    const char *address, int *fds, int count, struct net_address *local, struct error *error);

#endif
