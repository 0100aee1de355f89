/*
 * The keys that seal session tickets: those that all nodes share (ticket_share brings them), and this node's
 * own for as long as there are none. A new one at least every 12 hours, three generations kept, so that a
 * ticket opens for 24 to 36 hours and a stolen key tells no more than that. Wiped when they go.
 */
#ifndef EDGE_TICKET_KEYS_H
#define EDGE_TICKET_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ticket_keys;

enum {
	TICKET_KEY_NAME = 16,
	TICKET_KEY_GENERATIONS = 3,
	TICKET_KEY_LIFE_MS = 12 * 3600 * 1000,
	TICKET_KEY_HEARD_MS = 15 * 60 * 1000, /* by then every node knows a new shared key */
};

/* AES-256-CBC with HMAC-SHA256 over it, as RFC 5077 section 4 recommends. */
struct ticket_key {
	unsigned char name[TICKET_KEY_NAME];
	unsigned char cipher[32];
	unsigned char mac[32];
};

struct ticket_keys *ticket_keys_new(void);
void ticket_keys_free(struct ticket_keys *keys);

/* Copies; the caller wipes them. Any thread. */
void ticket_keys_newest(struct ticket_keys *keys, struct ticket_key *out);
/* False: unknown or expired. `*renew`: not the newest, the client should get a new ticket. */
bool ticket_keys_find(
    struct ticket_keys *keys, const unsigned char name[TICKET_KEY_NAME], struct ticket_key *out, bool *renew);

/* The shared keys from now on, newest first, at most TICKET_KEY_GENERATIONS; those that were shared before
 * go. Any thread. */
void ticket_keys_share(
    struct ticket_keys *keys, const struct ticket_key *shared, const int64_t *ages_ms, size_t count);

#endif
