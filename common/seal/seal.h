/*
 * Sealing: secrets are encrypted to a public key before they reach the database. HPKE base mode (RFC 9180,
 * DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM), each blob for itself, with kind, name and version of
 * its row as associated data, so that a row that is copied elsewhere does not open.
 *
 * A key file holds one or more keys, a line each: `postern-seal-key ID BASE64`; FILE.pub:
 * `postern-seal-public ID BASE64`. The first line's key seals, all of them open. Blob: version byte 1, key id
 * (8 bytes), enc (32), ciphertext and tag.
 */
#ifndef COMMON_SEAL_H
#define COMMON_SEAL_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/result.h"

struct seal_keys;

enum { SEAL_OVERHEAD = 1 + 8 + 32 + 16, SEAL_PLAINTEXT_MAX = 64 * 1024 };

/* Where a secret lives. `kind` is one of the words in sql/README.md ("certificate_key", "issuance_key",
 * "account_key"). */
struct seal_place {
	const char *kind;
	const char *name;
	int64_t version;
};

/* Writes PATH (mode 0600, refused if it exists) and PATH.pub. */
enum result seal_key_create(const char *path, struct error *error);
/* Refuses a secret file that others may read. Keys are kept in locked-out-of-dumps memory. */
enum result seal_keys_load_secret(struct seal_keys **out, const char *path, struct error *error);
enum result seal_keys_load_public(struct seal_keys **out, const char *path, struct error *error);
void seal_keys_free(struct seal_keys *keys);
/* While others use `keys`: those of *fresh, which is taken, in place of all it had. */
void seal_keys_replace(struct seal_keys *keys, struct seal_keys **fresh);
/* Hex id (16 characters) of the key that seals. */
const char *seal_keys_id(const struct seal_keys *keys);

/* Appends the blob. Thread-safe, as is seal_open. */
enum result seal_bytes(const struct seal_keys *keys, const struct seal_place *place, const void *plain,
    size_t size, struct buf *out, struct error *error);
/* R_INVALID: damaged, moved, or sealed for a key that is not in the file. Wipe `out` after use. */
enum result seal_open(const struct seal_keys *keys, const struct seal_place *place, const void *blob,
    size_t size, struct buf *out, struct error *error);

#endif
