#include "common/seal/seal.h"

#include <openssl/crypto.h>
#include <stdint.h>
#include <string.h>

#include "common/seal/hpke.h"
#include "common/seal/seal_keys.h"

enum { VERSION = 1, HEADER_SIZE = 1 + SEAL_ID_SIZE, WORD_MAX = 300, PLACE_MAX = 2 * (2 + WORD_MAX) + 8 };

static const struct hpke_bytes info = {"postern seal 1", 14};

/* The associated data: each part with its length before it, so that no two places read the same. */
static size_t add_word(unsigned char *to, const char *word)
{
	size_t size = strlen(word);
	to[0] = (unsigned char)(size >> 8);
	to[1] = (unsigned char)size;
	memcpy(to + 2, word, size);
	return 2 + size;
}

/* 0: a name that is no name. */
static size_t encode_place(const struct seal_place *place, unsigned char out[PLACE_MAX])
{
	if (strlen(place->kind) > WORD_MAX || strlen(place->name) > WORD_MAX)
		return 0;
	size_t size = add_word(out, place->kind);
	size += add_word(out + size, place->name);
	for (int shift = 56; shift >= 0; shift -= 8)
		out[size++] = (unsigned char)((uint64_t)place->version >> shift);
	return size;
}

static enum result seal_locked(const struct seal_keys *keys, const struct seal_place *place,
    const void *plain, size_t size, struct buf *out, struct error *error)
{
	unsigned char aad[PLACE_MAX];
	unsigned char blob[HEADER_SIZE];
	size_t aad_size = encode_place(place, aad);
	if (size > SEAL_PLAINTEXT_MAX || aad_size == 0) {
		error_set(error, "cannot seal %s of %.253s: too long", place->kind, place->name);
		return R_LIMIT;
	}
	const struct seal_key *key = &keys->keys[0];
	blob[0] = VERSION;
	memcpy(blob + 1, key->id, SEAL_ID_SIZE);
	char *space = NULL;
	size_t needed = HEADER_SIZE + size + HPKE_OVERHEAD;
	if (buf_reserve(out, needed, &space) < needed) {
		error_set(error, "cannot seal %s of %.253s: no room", place->kind, place->name);
		return R_LIMIT;
	}
	memcpy(space, blob, HEADER_SIZE);
	if (!hpke_seal(HPKE_AES_256_GCM, key->public, info, (struct hpke_bytes){aad, aad_size},
		(struct hpke_bytes){plain, size}, (unsigned char *)space + HEADER_SIZE)) {
		error_set(error, "cannot seal %s of %.253s: OpenSSL failed", place->kind, place->name);
		return R_ERROR;
	}
	buf_commit(out, needed);
	return R_OK;
}

static const unsigned char *find_secret(const struct seal_keys *keys, const unsigned char id[SEAL_ID_SIZE])
{
	for (size_t i = 0; keys->secrets && i < keys->count; i++) {
		if (!memcmp(keys->keys[i].id, id, SEAL_ID_SIZE))
			return keys->secrets[i];
	}
	return NULL;
}

static enum result cannot_open(const struct seal_place *place, const char *why, struct error *error)
{
	error_set(error, "cannot open %s of %.253s: %s", place->kind, place->name, why);
	return R_INVALID;
}

static enum result open_locked(const struct seal_keys *keys, const struct seal_place *place, const void *blob,
    size_t size, struct buf *out, struct error *error)
{
	const unsigned char *bytes = blob;
	unsigned char aad[PLACE_MAX];
	size_t aad_size = encode_place(place, aad);
	if (size < SEAL_OVERHEAD || size - SEAL_OVERHEAD > SEAL_PLAINTEXT_MAX || bytes[0] != VERSION ||
	    aad_size == 0)
		return cannot_open(place, "not something sealed by this version", error);
	const unsigned char *secret = find_secret(keys, bytes + 1);
	if (!secret)
		return cannot_open(place, "sealed for a key that is not in the key file", error);
	char *space = NULL;
	size_t plain_size = size - SEAL_OVERHEAD;
	if (buf_reserve(out, plain_size ? plain_size : 1, &space) < plain_size)
		return cannot_open(place, "no room", error);
	if (!hpke_open(HPKE_AES_256_GCM, secret, info, (struct hpke_bytes){aad, aad_size},
		(struct hpke_bytes){bytes + HEADER_SIZE, size - HEADER_SIZE}, (unsigned char *)space))
		return cannot_open(place, "damaged, or moved from another row", error);
	buf_commit(out, plain_size);
	return R_OK;
}

static pthread_rwlock_t *lock_of(const struct seal_keys *keys)
{
	return (pthread_rwlock_t *)(uintptr_t)&keys->lock;
}

enum result seal_bytes(const struct seal_keys *keys, const struct seal_place *place, const void *plain,
    size_t size, struct buf *out, struct error *error)
{
	pthread_rwlock_rdlock(lock_of(keys));
	enum result result = seal_locked(keys, place, plain, size, out, error);
	pthread_rwlock_unlock(lock_of(keys));
	return result;
}

enum result seal_open(const struct seal_keys *keys, const struct seal_place *place, const void *blob,
    size_t size, struct buf *out, struct error *error)
{
	pthread_rwlock_rdlock(lock_of(keys));
	enum result result = open_locked(keys, place, blob, size, out, error);
	pthread_rwlock_unlock(lock_of(keys));
	return result;
}
