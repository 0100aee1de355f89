/*
 * How many connections each client address has, over all workers. IPv6 clients count by /64, since that is
 * what one of them has to choose from. Any thread; entries are as many as there are counted clients.
 */
#ifndef EDGE_CLIENT_COUNTS_H
#define EDGE_CLIENT_COUNTS_H

#include <stdbool.h>

#include "common/net/net.h"

struct client_counts;

struct client_counts *client_counts_new(void);
void client_counts_free(struct client_counts *counts); /* NULL is fine */

/* False: it has `max` already, and nothing was counted. What is no IP address is not counted either. */
bool client_counts_take(struct client_counts *counts, const struct net_address *client, int64_t max);
/* For each that was taken. */
void client_counts_give(struct client_counts *counts, const struct net_address *client);

#endif
