/*
 * A site: a name with its checked certificate and opened key, as all workers share it. Immutable, counted by
 * references, about 1.5 KiB; the X509 and EVP_PKEY made of it are each worker's own (hot_site).
 */
#ifndef EDGE_SITE_H
#define EDGE_SITE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/certificate.h"
#include "common/hostname.h"

/* What the owner's domain row says of the name. Empty (NULL, 0) where there is no row: a foreign ask
 * endpoint. */
struct site_options {
	const char *tenant;   /* NULL: unknown; then names share a connection only with themselves */
	const char *upstream; /* http(s)://host[:port]; NULL: the setting */
	const char *hsts;     /* value of Strict-Transport-Security; NULL: the edge sets none */
	int minimum_tls;      /* TLS1_2_VERSION …; 0: the edge's own */
};

/* What a site was made from: where the database has another stamp, the site is made again. */
struct site_stamp {
	int64_t version; /* of the certificate; only grows */
	int64_t mark;    /* a hash of everything else that was read */
};

struct site {
	atomic_int references;
	struct hostname name;
	struct site_stamp stamp;
	/* Chain as DER. Never certificate_fini it: leaf and key are in this allocation, the rest is shared.
	 */
	struct certificate certificate;
	unsigned char *key; /* as certificate_key_import takes it; wiped at the end */
	size_t key_size;
	struct site_options options; /* strings in this allocation */
	/* The certificate is the wildcard's, and the name has something of its own: options. */
	bool borrowed;
	/* Of a wildcard: hashes of the names under it that it does not serve, ascending. */
	uint64_t *exceptions;
	size_t exception_count;
	size_t bytes; /* what it holds, for the cache's bound */
};

/* Takes the certificate (left empty), copies the key and the options. One reference for the caller. */
struct site *site_new(const struct hostname *name, struct site_stamp stamp, struct certificate *certificate,
    const void *key, size_t key_size, const struct site_options *options);
/* Before it is shared. Takes the names' hashes (name_hash), in any order. */
void site_set_exceptions(struct site *site, uint64_t *hashes, size_t count);
/* One label in the place of the asterisk. */
bool site_name_is_under(const char *name, const char *wildcard);
bool site_is_exception(const struct site *site, const char *name);
struct site *site_ref(struct site *site);
void site_unref(struct site *site);

#endif
