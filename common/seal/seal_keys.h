/*
 * The keys that seal and open, as seal.c uses them and seal_keys.c reads them from files.
 */
#ifndef COMMON_SEAL_KEYS_H
#define COMMON_SEAL_KEYS_H

#include <pthread.h>

#include "common/seal/hpke.h"
#include "common/seal/seal.h"

enum { SEAL_ID_SIZE = 8, SEAL_KEYS_MAX = 32 };

struct seal_key {
	unsigned char id[SEAL_ID_SIZE]; /* the first bytes of SHA-256 of the public key */
	unsigned char public[HPKE_KEY_SIZE];
};

/* `lock` is held while a key is used; seal_keys_replace takes it to write. */
struct seal_keys {
	pthread_rwlock_t lock;
	struct seal_key keys[SEAL_KEYS_MAX];
	size_t count;
	char first_id[2 * SEAL_ID_SIZE + 1];
	/* One per key, in seal_memory; NULL where only public keys were read. */
	unsigned char (*secrets)[HPKE_KEY_SIZE];
};

#endif
