/*
 * Brings the ticket keys that all nodes share: reads them from the database, opens them, and adds the next
 * one when the newest has grown old, whoever comes first. While the database is away the keys at hand go on.
 */
#ifndef EDGE_TICKET_SHARE_H
#define EDGE_TICKET_SHARE_H

#include "common/seal/seal.h"
#include "edge/tls/ticket_keys.h"

struct ticket_share;

/* A thread of its own, with a connection for a moment every five minutes. All are borrowed until the stop. */
struct ticket_share *ticket_share_start(
    const char *conninfo, const struct seal_keys *seal, struct ticket_keys *keys);
/* NULL is let through. */
void ticket_share_stop(struct ticket_share *share);

#endif
