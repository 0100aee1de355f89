/*
 * One question over TCP, without blocking: connect, send, read one reply (RFC 1035 section 4.2.2: two bytes
 * of length before each message).
 */
#ifndef VERIFIER_DIAGNOSE_TCP_ASK_H
#define VERIFIER_DIAGNOSE_TCP_ASK_H

#include <stddef.h>
#include <stdint.h>

#include "common/net/net.h"

struct tcp_ask;

/* NULL where no connection can be begun. The packet is copied. */
struct tcp_ask *tcp_ask_new(const struct net_address *address, const uint8_t *packet, size_t size);
void tcp_ask_free(struct tcp_ask *ask);

/* What to poll for. */
int tcp_ask_fd(const struct tcp_ask *ask);
short tcp_ask_events(const struct tcp_ask *ask);

/* R_OK: the reply is in `bytes`. R_AGAIN: poll again. R_LIMIT: it is longer than `room`. R_DOWN: the
 * connection broke.
 */
enum result tcp_ask_go_on(struct tcp_ask *ask, uint8_t *bytes, size_t room, size_t *size);

#endif
