/*
 * One check of a server whose bytes we only pass on: does it take a connection, and with a TLS hello, does it
 * answer in TLS? An alert is an answer too: the server is there and may want another name than ours.
 */
#ifndef EDGE_UPSTREAM_PROBE_H
#define EDGE_UPSTREAM_PROBE_H

#include <openssl/types.h>

#include "edge/loop/loop.h"
#include "edge/upstream/upstream_address.h"

struct upstream_probe;

/* As address->probe says, whose kind is TCP or TLS. `on_done` is called once, from the loop, and is where
 * upstream_probe_end belongs; the caller keeps the time. NULL: no connection can be had, for *failure. */
struct upstream_probe *upstream_probe_begin(struct loop *loop, SSL_CTX *ctx,
    const struct upstream_address *address, enum upstream_failure *failure,
    void (*on_done)(void *arg, bool is_well), void *arg);
/* Before or after on_done. */
void upstream_probe_end(struct upstream_probe *probe);

#endif
