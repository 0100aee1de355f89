/*
 * HPKE (RFC 9180) in the one shape that sealing needs: base mode, single shot, DHKEM(X25519, HKDF-SHA256),
 * HKDF-SHA256 and an AES-GCM. Only OpenSSL's primitives beneath; checked against the RFC's vectors.
 */
#ifndef COMMON_HPKE_H
#define COMMON_HPKE_H

#include <stdbool.h>
#include <stddef.h>

enum { HPKE_KEY_SIZE = 32, HPKE_TAG_SIZE = 16, HPKE_OVERHEAD = HPKE_KEY_SIZE + HPKE_TAG_SIZE };

/* RFC 9180 section 7.3. Sealing uses AES-256; the RFC's appendix has its X25519 vectors for AES-128. */
enum hpke_aead { HPKE_AES_128_GCM = 1, HPKE_AES_256_GCM = 2 };

struct hpke_bytes {
	const void *data;
	size_t size;
};

/* A fresh key pair. */
bool hpke_generate(unsigned char secret[HPKE_KEY_SIZE], unsigned char public[HPKE_KEY_SIZE]);
bool hpke_public_of(const unsigned char secret[HPKE_KEY_SIZE], unsigned char public[HPKE_KEY_SIZE]);

/* Writes enc, ciphertext and tag: plain.size + HPKE_OVERHEAD bytes. False: a bad public key, or OpenSSL
 * failed. */
bool hpke_seal(enum hpke_aead aead, const unsigned char public[HPKE_KEY_SIZE], struct hpke_bytes info,
    struct hpke_bytes aad, struct hpke_bytes plain, unsigned char *out);
/* Writes sealed.size - HPKE_OVERHEAD bytes; on false nothing of them is to be used. */
bool hpke_open(enum hpke_aead aead, const unsigned char secret[HPKE_KEY_SIZE], struct hpke_bytes info,
    struct hpke_bytes aad, struct hpke_bytes sealed, unsigned char *out);

/* For the vectors alone: an ephemeral key that is used twice gives both messages away. */
bool hpke_seal_with_ephemeral(enum hpke_aead aead, const unsigned char ephemeral[HPKE_KEY_SIZE],
    const unsigned char public[HPKE_KEY_SIZE], struct hpke_bytes info, struct hpke_bytes aad,
    struct hpke_bytes plain, unsigned char *out);

#endif
