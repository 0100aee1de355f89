/*
 * A connection from accept to the end: PROXY header, ClientHello on raw bytes, waiting for a certificate,
 * handshake, then HTTP. One state, one table; whoever sends it a message names it by id and generation.
 */
#ifndef EDGE_CONN_H
#define EDGE_CONN_H

#include "common/net/net.h"
#include "edge/worker.h"

/* Takes the accepted descriptor. */
void conn_accept(struct worker *worker, int fd, const struct net_address *client, struct listen_point point);

/* The worker drains: HTTP ends with what is in flight; what still waits or shakes hands goes on. */
void conn_drain_all(struct worker *worker);
/* The end: closes every connection now. */
void conn_abort_all(struct worker *worker);
/* worker->resume_task: begins the next few handshakes of those whose certificate came. */
void conn_resume_some(struct loop_task *task);

/* Deliver functions for the worker's mailbox (receiver: the struct worker). */
void conn_deliver_site(struct message *message, void *worker);      /* struct broker_reply */
void conn_deliver_challenge(struct message *message, void *worker); /* struct challenge_reply: TLS and HTTP */
void conn_deliver_notice(struct message *message, void *worker);    /* struct notice_reply */

#endif
