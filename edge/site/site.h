/*
 * A site: a name with its checked certificate and opened key, as all workers share it. Immutable, counted by
 * references, about 1.5 KiB (more only by what the domain's options hold, and no other site has); the X509
 * and EVP_PKEY made of it are each worker's own (hot_site).
 */
#ifndef EDGE_SITE_H
#define EDGE_SITE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/certificate/certificate.h"
#include "common/domain/domain_options.h"
#include "common/net/hostname.h"

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
	/* What the owner's domain row says of the name; empty where there is no row, as with a foreign ask
	 * endpoint. In this allocation; the bytes of parts are shared with sites that say the same. */
	const char *tenant; /* NULL: unknown; then names share a connection only with themselves */
	struct domain_options options;
	/* The certificate is the wildcard's, and the name has something of its own: options. */
	bool borrowed;
	/* Of a wildcard: hashes of the names under it that it does not serve, ascending. */
	uint64_t *exceptions;
	size_t exception_count;
	size_t bytes; /* what it holds, for the cache's bound */
};

/* Is its TLS passed on unopened? Then it has no certificate, and no time at which it would expire. */
static inline bool site_is_passed(const struct site *site)
{
	return site->options.passthrough;
}

/* Takes the certificate (left empty), copies the key, the tenant (may be NULL) and the options. One reference
 * for the caller. */
struct site *site_new(const struct hostname *name, struct site_stamp stamp, struct certificate *certificate,
    const void *key, size_t key_size, const char *tenant, const struct domain_options *options);
/* Before it is shared. Takes the names' hashes (name_hash), in any order. */
void site_set_exceptions(struct site *site, uint64_t *hashes, size_t count);
/* One label in the place of the asterisk. */
bool site_name_is_under(const char *name, const char *wildcard);
bool site_is_exception(const struct site *site, const char *name);
struct site *site_ref(struct site *site);
void site_unref(struct site *site);

#endif
