/*
 * Anti-replay nonces (RFC 8555 section 6.5) as the CA hands them out with each response, shared by the
 * process's threads. At most NONCE_POOL_MAX are kept, each for NONCE_LIFE_MS; the freshest is taken first.
 */
#ifndef ACME_NONCE_H
#define ACME_NONCE_H

#include <stdbool.h>
#include <stddef.h>

enum { NONCE_POOL_MAX = 32, NONCE_SIZE = 129, NONCE_LIFE_MS = 60 * 1000 };

struct nonce_pool;

struct nonce_pool *nonce_pool_new(void);
void nonce_pool_free(struct nonce_pool *pool);

/* False when there is none that is young enough: fetch one from newNonce. Any thread. */
bool nonce_take(struct nonce_pool *pool, char out[NONCE_SIZE]);
/* What is no nonce (empty, over 128 bytes, not base64url) is dropped; a full pool drops its oldest. Any
 * thread. */
void nonce_put(struct nonce_pool *pool, const char *nonce);
/* The CA refused several in a row: it has forgotten what it gave (restart, other data centre). */
void nonce_flush(struct nonce_pool *pool);

#endif
